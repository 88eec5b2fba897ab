// SPDX-License-Identifier: Apache-2.0
/** The window as a whole: hosts, palette, history and journal, over a fake bridge. */
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { nowUs, second, update } from '../../test/fake-data.ts';
import { go, openConsole, type } from '../../test/open-console.ts';

describe('the window', () => {
  test('shows the host in focus on top, with kernel, phase, number and connection', async () => {
    await openConsole();
    const focus = screen.getByLabelText('Host in focus');
    expect(within(focus).getByText('7.3.4-a')).toBeTruthy();
    expect(within(focus).getByText('Normal')).toBeTruthy();
    expect(within(focus).getByText('Connected')).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Host hv-01' })).toBeTruthy();
  });

  test('says how old its knowledge is when the host is away', async () => {
    const bridge = await openConsole();
    bridge.changeHost('h1', { state: 'away', statusAtUs: nowUs() - 12 * second });
    expect(await screen.findByText(/^1[23] s old$/)).toBeTruthy();
  });

  test('goes to views by the keyboard', async () => {
    await openConsole();
    await fireEvent.keyDown(document.body, { key: '2', altKey: true });
    const heading = await screen.findByRole('heading', { level: 1, name: 'Sessions' });
    await waitFor(() => expect(document.activeElement).toBe(heading));
    await fireEvent.keyDown(document.body, { key: 'g' });
    await fireEvent.keyDown(document.body, { key: 'i' });
    expect(await screen.findByRole('heading', { level: 1, name: 'History' })).toBeTruthy();
    await fireEvent.keyDown(document.body, { key: '?' });
    expect(await screen.findByRole('dialog', { name: 'Shortcuts' })).toBeTruthy();
  });

  test('lists what can be done in the command palette, and why something cannot', async () => {
    await openConsole((bridge) => {
      bridge.hosts = bridge.hosts.map((host) =>
        host.id === 'h1' ? { ...host, state: 'disconnected' as const } : host,
      );
    });
    await fireEvent.keyDown(document.body, { key: 'k', ctrlKey: true });
    const palette = await screen.findByRole('dialog', { name: 'Command palette' });
    expect(within(palette).getByText('Connect hv-01')).toBeTruthy();
    expect(within(palette).getAllByText('hv-01 is not connected.').length).toBeGreaterThan(0);
  });
});

describe('Hosts', () => {
  test('tells how to begin when there is none', async () => {
    await openConsole((bridge) => {
      bridge.hosts = [];
    });
    expect(await screen.findByText('No hosts yet')).toBeTruthy();
  });

  test('adds a host and connects it, after a wrong address was named', async () => {
    const bridge = await openConsole();
    await fireEvent.click(screen.getByRole('button', { name: 'Add host' }));
    const dialog = await screen.findByRole('dialog', { name: 'Add host' });
    await type('Address', 'hv-09.example');
    expect(await within(dialog).findByText(/must begin with/)).toBeTruthy();
    await type('Address', 'ssh://root@hv-09.example');
    await fireEvent.click(within(dialog).getByRole('button', { name: 'Add and connect' }));
    await waitFor(() => expect(bridge.askedFor('Connect')).toEqual([{ id: 'h6' }]));
    expect(bridge.askedFor('AddHost')).toEqual([
      { name: 'hv-09', address: 'ssh://root@hv-09.example', sshConfig: null, serialSocket: null },
    ]);
  });

  test('say in every view that ssh asks', async () => {
    await openConsole();
    await go('Sessions');
    await fireEvent.click(screen.getByRole('button', { name: 'ssh asks for hv-05' }));
    expect(await screen.findByText(/Are you sure you want to continue/)).toBeTruthy();
    expect(screen.queryByRole('button', { name: 'ssh asks for hv-05' })).toBeNull();
  });

  test('do not call it expected when a connection was merely lost, nor versions none that are not known yet', async () => {
    const bridge = await openConsole();
    bridge.changeHost('h1', {
      state: 'away',
      detail: 'The connection was lost; the console keeps trying. (broken pipe)',
    });
    expect(await screen.findByText('The connection was lost')).toBeTruthy();
    const known = bridge.hosts[0]?.status as { liveUpdate: object };
    bridge.changeStatus('h1', { liveUpdate: { ...known.liveUpdate, handoverVersions: [] } as never });
    expect(await screen.findByText('versions not known yet')).toBeTruthy();
  });

  test('shows what ssh said, and its prompt', async () => {
    await openConsole();
    await fireEvent.click(screen.getByRole('button', { name: /^spare-04/ }));
    expect(await screen.findByText(/No route to host/)).toBeTruthy();
    await fireEvent.click(screen.getByRole('button', { name: /^hv-05/ }));
    expect(await screen.findByText(/Are you sure you want to continue/)).toBeTruthy();
  });
});

describe('History', () => {
  test('tells the outcome and what was lost', async () => {
    await openConsole();
    await go('History');
    await fireEvent.click(await screen.findByRole('button', { name: /Cold boot/ }));
    expect(await screen.findByText('Lost: 8 descriptors, 11.1 GiB')).toBeTruthy();
  });

  test('shows older updates on demand', async () => {
    const all = Array.from({ length: 130 }, (_, at) =>
      update({ id: `u-${200 - at}`, toRelease: `7.3.${200 - at}` }),
    );
    const bridge = await openConsole((fake) => {
      fake.answers.set('ListUpdates', ({ limit, before }) => {
        const from = before ? all.findIndex(({ id }) => id === before) + 1 : 0;
        const updates = all.slice(from, from + Number(limit));
        return { updates, more: from + updates.length < all.length };
      });
    });
    await go('History');
    const list = await screen.findByRole('list', { name: 'Live updates' });
    // Asking for roles would look at every style of every row.
    const rows = () => list.querySelectorAll('li').length;
    expect(rows()).toBe(100);
    await fireEvent.click(screen.getByText('Show older live updates'));
    await waitFor(() => expect(rows()).toBe(130));
    expect(bridge.askedFor('ListUpdates').at(-1)?.before).toBe('u-101');
    expect(screen.queryByText('Show older live updates')).toBeNull();
    // A new one moves the newest page on by one; nothing in between is missing.
    all.unshift(update({ id: 'u-201' }));
    bridge.changeStatus('h1', { lastUpdate: 'u-201' });
    await waitFor(() => expect(rows()).toBe(131));
  });

  test('saves the journal from the replica while the host is away', async () => {
    const bridge = await openConsole((fake) => {
      fake.live = false;
      fake.hosts = fake.hosts.map((host) => (host.id === 'h1' ? { ...host, state: 'away' as const } : host));
    });
    await go('History');
    await fireEvent.click(screen.getByRole('tab', { name: 'Journal' }));
    await screen.findByText('1403');
    await fireEvent.click(screen.getByRole('button', { name: 'Save…' }));
    expect(await screen.findByText(/hv-01-journal\.jsonl, from the replica$/)).toBeTruthy();
    expect(bridge.askedFor('SaveJournal')).toEqual([{ host: 'h1' }]);
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Verify chain' }).title).toBe(
      'hv-01 is not connected.',
    );
  });

  test('filters the journal and shows an entry whole', async () => {
    const bridge = await openConsole();
    await go('History');
    await fireEvent.click(screen.getByRole('tab', { name: 'Journal' }));
    await screen.findByText('1403');
    await fireEvent.click(screen.getByLabelText('Failed only'));
    await waitFor(() => expect(bridge.askedFor('QueryJournal').at(-1)?.failedOnly).toBe(true));
    await waitFor(() => expect(screen.queryByText('1403')).toBeNull());
    const failed = screen.getAllByRole('row')[0];
    if (!failed) throw new Error('an entry failed');
    await fireEvent.click(failed);
    expect(await screen.findByRole('article', { name: /^Entry/ })).toBeTruthy();
  });
});
