// SPDX-License-Identifier: Apache-2.0
/** The Sessions view and its dialogs. */
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { failure } from '../../test/fake-bridge.ts';
import { you } from '../../test/fake-data.ts';
import { go, openConsole, type } from '../../test/open-console.ts';

describe('Sessions', () => {
  test('takes a digest with its progress in sight', async () => {
    const bridge = await openConsole();
    await go('Sessions');
    await fireEvent.click(await screen.findByRole('button', { name: 'Take digest of 0x4' }));
    bridge.push('TakeDigest', { done: 50, total: 200, descriptor: null });
    expect(await screen.findByText('25 %')).toBeTruthy();
    bridge.end('TakeDigest', failure('DeviceBusy', { pid: 1, command: 'systemd' }));
    expect(await screen.findByText('The digest of 0x4 could not be taken')).toBeTruthy();
    expect(screen.queryByText('25 %')).toBeNull();
  });

  test('removes a descriptor and says that the session was rebuilt', async () => {
    const bridge = await openConsole();
    await go('Sessions');
    await fireEvent.click(await screen.findByRole('button', { name: 'Remove descriptor 0x2' }));
    expect(screen.getByText(/the 3 remaining descriptors/)).toBeTruthy();
    await fireEvent.click(screen.getByRole('button', { name: 'Remove descriptor' }));
    expect(await screen.findByText('The session was rebuilt without it.')).toBeTruthy();
    expect(bridge.askedFor('RemoveDescriptor')).toEqual([{ session: 'web-01', token: '0x2' }]);
  });

  test('retrieves and finishes an incoming one, and says what closing it would free', async () => {
    const bridge = await openConsole((fake) => {
      fake.sessions = fake.sessions.map((session) => ({ ...session, direction: 'incoming' as const }));
      for (const method of ['RetrieveSession', 'FinishSession']) {
        fake.answers.set(method, () => ({ session: fake.sessions[0] }));
      }
    });
    await go('Sessions');
    await fireEvent.click(await screen.findByRole('button', { name: 'Retrieve' }));
    expect(await screen.findByText('web-01 retrieved')).toBeTruthy();
    await fireEvent.click(screen.getByRole('button', { name: 'Finish' }));
    expect(await screen.findByText('web-01 finished')).toBeTruthy();
    expect(bridge.askedFor('FinishSession')).toEqual([{ name: 'web-01' }]);
    await fireEvent.click(screen.getByRole('button', { name: 'Close session…' }));
    expect(await screen.findByText('Descriptors that were not retrieved are freed')).toBeTruthy();
  });

  test('offers to connect where nothing was ever read', async () => {
    const bridge = await openConsole((fake) => {
      fake.hosts = fake.hosts.filter(({ id }) => id === 'h4');
      fake.answers.set('ListSessions', () => {
        throw failure('NothingKnown', { id: 'h4', method: 'ListSessions' });
      });
    });
    await go('Sessions');
    expect(await screen.findByText('spare-04 is not connected')).toBeTruthy();
    await fireEvent.click(screen.getByRole('button', { name: 'Connect' }));
    await waitFor(() => expect(bridge.askedFor('Connect')).toEqual([{ id: 'h4' }]));
  });

  test('lets a viewer look but not act, and says why', async () => {
    const bridge = await openConsole();
    bridge.changeStatus('h1', { you: { ...you, role: 'viewer' } });
    await go('Sessions');
    const create = await screen.findByRole<HTMLButtonElement>('button', { name: 'Create session' });
    expect(create.disabled).toBe(true);
    expect(create.title).toContain('luo-console-operator');
  });

  test('explains why there is no live update', async () => {
    await openConsole((fake) => {
      fake.hosts = fake.hosts.filter(({ id }) => id === 'h3');
      fake.sessions = [];
    });
    await go('Sessions');
    expect(await screen.findByText('The running kernel is built without live update')).toBeTruthy();
    expect(
      screen.getByText(/^This kernel is built without CONFIG_LIVEUPDATE\. Without live update/),
    ).toBeTruthy();
  });

  test('creates one, refusing a name of 64 bytes', async () => {
    const bridge = await openConsole();
    await go('Sessions');
    await fireEvent.click(await screen.findByRole('button', { name: 'Create session' }));
    await type('Name', 'x'.repeat(64));
    expect(await screen.findByText(/64 bytes long/)).toBeTruthy();
    await type('Name', 'cache-02');
    await fireEvent.click(screen.getByRole('button', { name: 'Create' }));
    expect(await screen.findByRole('article', { name: 'Session cache-02' })).toBeTruthy();
    expect(bridge.askedFor('CreateSession')).toEqual([{ name: 'cache-02' }]);
  });

  test('preserves what was chosen of a process; what is preserved cannot be chosen', async () => {
    const bridge = await openConsole();
    await go('Sessions');
    await fireEvent.click(await screen.findByRole('button', { name: 'Preserve…' }));
    const dialog = await screen.findByRole('dialog', { name: 'Preserve in web-01' });
    const taken = await within(dialog).findByRole<HTMLInputElement>('checkbox', { name: /pc.ram of/ });
    expect(taken.disabled).toBe(true);
    await fireEvent.click(within(dialog).getByRole('checkbox', { name: /memory-backend-memfd of/ }));
    await fireEvent.click(within(dialog).getByRole('button', { name: 'Preserve' }));
    await waitFor(() =>
      expect(bridge.askedFor('PreserveFromProcess')).toEqual([
        { session: 'web-01', label: null, token: null, pid: 2141, fd: 11 },
      ]),
    );
  });

  test('closes one that holds memory only when its name is typed', async () => {
    const bridge = await openConsole();
    await go('Sessions');
    await fireEvent.click(await screen.findByRole('button', { name: 'Close session…' }));
    const close = screen.getByRole<HTMLButtonElement>('button', { name: 'Close session' });
    expect(close.disabled).toBe(true);
    await type('Type web-01 to confirm', 'web-01');
    expect(close.disabled).toBe(false);
    await fireEvent.click(close);
    await waitFor(() => expect(bridge.askedFor('CloseSession')).toEqual([{ name: 'web-01' }]));
  });

  test('says what went wrong, and tries again', async () => {
    const bridge = await openConsole((fake) => {
      fake.answers.set('ListSessions', () => {
        throw failure('DeviceBusy', { pid: 1, command: 'systemd' });
      });
    });
    await go('Sessions');
    expect(await screen.findByText(/systemd \(process 1\) holds it/)).toBeTruthy();
    bridge.answers.delete('ListSessions');
    await fireEvent.click(screen.getByRole('button', { name: 'Retry' }));
    expect(await screen.findByRole('article', { name: 'Session web-01' })).toBeTruthy();
  });

  test('keeps 1,000 descriptors out of the page but for those in sight', async () => {
    await openConsole((bridge) => {
      const [first, ...others] = bridge.sessions;
      if (!first?.descriptors[0]) throw new Error('there is a descriptor');
      const one = first.descriptors[0];
      const descriptors = Array.from({ length: 1000 }, (_, at) => ({
        ...one,
        token: `0x${at.toString(16)}`,
      }));
      bridge.sessions = [{ ...first, descriptors }, ...others];
    });
    await go('Sessions');
    const table = await screen.findByRole('table', { name: 'Descriptors of web-01' });
    await within(table).findByText('0x0');
    expect(table.getAttribute('aria-rowcount')).toBe('1001');
    expect(within(table).getAllByRole('row').length).toBeLessThan(60);
  });
});
