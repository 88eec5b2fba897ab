// SPDX-License-Identifier: Apache-2.0
/** The Machines view: what it says of each machine, adopting, releasing, starting. */
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { type FakeBridge, failure } from '../../test/fake-bridge.ts';
import { cyclicGraph, machine, status, you } from '../../test/fake-data.ts';
import { go, openConsole } from '../../test/open-console.ts';

async function openMachines(prepare?: (bridge: FakeBridge) => void): Promise<FakeBridge> {
  const bridge = await openConsole(prepare);
  await go('Machines');
  return bridge;
}

async function select(name: RegExp): Promise<void> {
  await fireEvent.click(await screen.findByRole('button', { name }));
}

const button = (name: string) => screen.getByRole<HTMLButtonElement>('button', { name });

describe('Machines', () => {
  test('are listed with what they are and whether they can be carried over', async () => {
    await openMachines();
    const list = await screen.findByRole('list', { name: 'Machines' });
    const [web, db, old] = within(list).getAllByRole('button');
    expect(web?.textContent).toMatch(
      /web-01.*Running.*QEMU 11\.1\.0.*4 vCPUs.*2 GiB.*Adopted.*cpr-transfer/s,
    );
    expect(db?.textContent).toMatch(/db-02.*Not adopted.*named memory/s);
    expect(old?.textContent).toMatch(/old-03.*Paused.*1 vCPU.*Cannot be carried over/s);
    const defined = screen.getByRole('list', { name: 'Defined, not running' });
    expect(
      within(defined)
        .getAllByRole('button')
        .map((row) => row.textContent),
    ).toEqual([
      expect.stringMatching(/build-09.*Not running/s),
      expect.stringMatching(/broken-07.*Unusable/s),
    ]);
  });

  test('tell of each descriptor what becomes of it, why, and where that is known from', async () => {
    await openMachines();
    await select(/^db-02/);
    const table = await screen.findByRole('table', { name: 'Descriptors of db-02' });
    const [, linked, shared, kvm] = within(table).getAllByRole('row');
    expect(linked?.textContent).toMatch(/12.*tmpfs, linked, guest memory.*8 GiB.*Blocks the update/s);
    expect(linked?.textContent).toMatch(/only unlinked ones are preserved.*the kernel was asked: EINVAL/s);
    expect(shared?.textContent).toMatch(
      /mapped.*depends on fd 12.*shared with process 2201.*also 2 other numbers: 17, 18/s,
    );
    expect(kvm?.textContent).toMatch(/kvm-vm.*Rebuilt by the VMM.*ENOENT/s);
    expect(screen.getByText('Once adopted it is carried over, by named memory')).toBeTruthy();
    expect(screen.getByText(/Expected blackout: about 1\.9 s or more/)).toBeTruthy();
    expect(button('Console').disabled).toBe(true);
  });

  test('are adopted only with consent to what is unlinked, which is named', async () => {
    const bridge = await openMachines();
    await select(/^db-02/);
    await fireEvent.click(button('Adopt…'));
    const dialog = await screen.findByRole('dialog', { name: 'Adopt db-02' });
    expect(within(dialog).getByText(/All of its memory \(8 GiB\) is allocated/)).toBeTruthy();
    const names = within(dialog).getByRole('list', { name: 'Files that are unlinked' });
    expect(
      within(names)
        .getAllByRole('listitem')
        .map(({ textContent }) => textContent),
    ).toEqual(['/dev/shm/db-02.ram', '/dev/shm/db-02.cache']);
    expect(button('Adopt db-02').disabled).toBe(true);
    await fireEvent.click(within(dialog).getByRole('checkbox', { name: 'Unlink these files' }));
    await fireEvent.click(button('Adopt db-02'));
    expect(await screen.findByText('db-02 adopted')).toBeTruthy();
    expect(bridge.askedFor('AdoptMachine')).toEqual([{ pid: 2141, unlink: true }]);
    expect(await screen.findByRole('button', { name: 'Release…' })).toBeTruthy();
  });

  test('that could not be adopted say why in the dialog', async () => {
    await openMachines((bridge) => {
      bridge.machines = [machine({ session: null })];
      bridge.answers.set('AdoptMachine', () => {
        throw failure('MachineUnusable', {
          pid: 2041,
          name: 'web-01',
          reason: 'another client is connected to its monitor',
        });
      });
    });
    await select(/^web-01/);
    await fireEvent.click(button('Adopt…'));
    const dialog = await screen.findByRole('dialog', { name: 'Adopt web-01' });
    expect(within(dialog).queryByRole('checkbox')).toBeNull();
    await fireEvent.click(button('Adopt web-01'));
    const alert = await within(dialog).findByRole('alert');
    expect(alert.textContent).toMatch(
      /web-01 was not adopted: web-01 cannot be used for this.*Another client is connected to its monitor\./s,
    );
  });

  test('are released after that was explained', async () => {
    const bridge = await openMachines();
    await select(/^web-01/);
    await fireEvent.click(button('Release…'));
    expect(await screen.findByText(/Its session web-01 is closed/)).toBeTruthy();
    await fireEvent.click(button('Release web-01'));
    expect(await screen.findByText('web-01 released')).toBeTruthy();
    expect(bridge.askedFor('ReleaseMachine')).toEqual([{ pid: 2041 }]);
  });

  test('are started from their definitions, and then shown', async () => {
    const bridge = await openMachines();
    await select(/^build-09/);
    await fireEvent.click(button('Start'));
    expect(await screen.findByText('build-09 runs')).toBeTruthy();
    expect(await screen.findByRole('article', { name: 'Machine build-09' })).toBeTruthy();
    expect(bridge.askedFor('StartMachine')).toEqual([{ name: 'build-09' }]);
  });

  test('show while they are being started that they are, also after looking elsewhere', async () => {
    const gate = Promise.withResolvers<object>();
    await openMachines((bridge) => bridge.answers.set('StartMachine', () => gate.promise));
    await select(/^build-09/);
    await fireEvent.click(button('Start'));
    expect(await screen.findByText('Starting build-09…')).toBeTruthy();
    await go('Sessions');
    await go('Machines');
    await select(/^build-09.*Starting/s);
    expect(button('Starting…').disabled).toBe(true);
    gate.reject(failure('DefinitionInvalid', { path: '/etc/x.json', reason: 'member "memory" is missing' }));
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toMatch(
      /build-09 was not started: The definition \/etc\/x.json cannot be used.*Member "memory" is missing\./s,
    );
    await select(/^build-09.*Not started/s);
  });

  test('with a definition that cannot be used say what is wrong with it', async () => {
    await openMachines();
    await select(/^broken-07/);
    expect(
      await screen.findByText('Member "memory" is "lots"; expected a whole number from 1 to 16777216.'),
    ).toBeTruthy();
    expect(button('Start').disabled).toBe(true);
  });

  test('let a viewer look but not act, and say why', async () => {
    await openMachines((bridge) => {
      bridge.hosts = bridge.hosts.map((host) =>
        host.id === 'h1' ? { ...host, status: { ...status({ you: { ...you, role: 'viewer' } }) } } : host,
      );
    });
    await select(/^db-02/);
    for (const name of ['Adopt…', 'Console']) {
      expect(button(name).disabled).toBe(true);
      expect(button(name).title).toContain('may look but not act');
    }
  });

  test('open their serial console in a terminal', async () => {
    const bridge = await openMachines();
    await select(/^web-01/);
    await fireEvent.click(button('Console'));
    expect(await screen.findByRole('button', { name: 'web-01 console' })).toBeTruthy();
    await waitFor(() => {
      const opened = bridge.askedFor('OpenTerminal').at(-1);
      expect(opened).toMatchObject({ host: 'h1', kind: 'machine', machine: 2041 });
    });
    expect(button('Close console of web-01 on hv-01')).toBeTruthy();
  });

  test('are read again when asked, and when the sessions change', async () => {
    const bridge = await openMachines();
    await screen.findByRole('list', { name: 'Machines' });
    const before = bridge.askedFor('ListMachines').length;
    bridge.machines = [machine({ name: 'other-05', pid: 5 })];
    await fireEvent.click(button('Refresh machines'));
    expect(await screen.findByRole('article', { name: 'Machine other-05' })).toBeTruthy();
    expect(bridge.askedFor('ListMachines')).toHaveLength(before + 1);
    bridge.changeStatus('h1', { sessions: [] });
    await waitFor(() => expect(bridge.askedFor('ListMachines')).toHaveLength(before + 2));
  });

  test('come from the replica while the host is away, with their age', async () => {
    await openMachines((bridge) => {
      bridge.live = false;
    });
    expect(await screen.findByText(/^replica,/)).toBeTruthy();
  });

  test('that are not there are an empty state; that cannot be read, a failure with a way out', async () => {
    const bridge = await openMachines((fake) => {
      fake.machines = [];
      fake.definitions = [];
    });
    expect(await screen.findByText('No machines on hv-01')).toBeTruthy();
    bridge.answers.set('ListMachines', () => {
      throw failure('KernelCallFailed', { call: 'open', errno: 'EACCES', argument: '/proc', message: 'no' });
    });
    await fireEvent.click(button('Refresh machines'));
    expect(
      await screen.findByText(/The machines could not be read again: open failed with EACCES/),
    ).toBeTruthy();
  });

  test('show what depends on what, the circle named and marked', async () => {
    await openMachines((bridge) => {
      bridge.graph = cyclicGraph();
    });
    await fireEvent.click(await screen.findByRole('tab', { name: 'Order' }));
    expect(await screen.findByText('Circle: luo-test-a → luo-test-b → luo-test-a')).toBeTruthy();
    const list = screen.getByRole('list', { name: 'Nodes, without an order' });
    expect(within(list).getAllByLabelText('in the circle')).toHaveLength(2);
  });

  test('are in the palette with what can be done', async () => {
    await openMachines();
    await screen.findByRole('list', { name: 'Machines' });
    await fireEvent.keyDown(window, { key: 'k', ctrlKey: true });
    for (const name of [
      /^Adopt db-02/,
      /^Release web-01/,
      /^Start build-09/,
      /^Open the console of web-01/,
    ]) {
      expect(await screen.findByRole('option', { name })).toBeTruthy();
    }
  });
});
