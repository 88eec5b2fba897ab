// SPDX-License-Identifier: Apache-2.0
/** Held machines in the Machines view: listed with those that run, selected like them, tried again, given up. */
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { type FakeBridge, failure } from '../../test/fake-bridge.ts';
import { definitions, heldMachine } from '../../test/fake-data.ts';
import { go, openConsole, type } from '../../test/open-console.ts';

async function openMachines(prepare: (bridge: FakeBridge) => void = () => {}): Promise<FakeBridge> {
  const bridge = await openConsole((fake) => {
    fake.heldMachines = [heldMachine(), heldMachine({ session: 's5', name: 'old-05', problem: 'no record' })];
    prepare(fake);
  });
  await go('Machines');
  return bridge;
}

const button = (name: string) => screen.getByRole<HTMLButtonElement>('button', { name });
const rows = async () =>
  within(await screen.findByRole('list', { name: 'Machines' })).getAllByRole<HTMLButtonElement>('button');
const select = async (name: RegExp) => fireEvent.click(await screen.findByRole('button', { name }));
const article = (name: string) => screen.findByRole('article', { name });

describe('held machines', () => {
  test('are listed and counted with those that run, and say in words that they do not', async () => {
    await openMachines();
    const [, , , mail, old] = await rows();
    expect(mail?.textContent).toMatch(/mail-04.*Held.*kept in session mail-04.*2 GiB.*cpr-transfer/s);
    expect(mail?.textContent).not.toMatch(/Running|Cannot be tried again/);
    expect(old?.textContent).toMatch(/old-05.*Held.*kept in session s5.*Cannot be tried again/s);
    expect(screen.getByText('5 machines, 1 adopted, 2 held')).toBeTruthy();
  });

  test('are not mentioned where there are none', async () => {
    await openMachines((bridge) => {
      bridge.heldMachines = [];
    });
    expect(await screen.findByText('3 machines, 1 adopted')).toBeTruthy();
    expect(screen.queryByText('Held')).toBeNull();
  });

  test('are reached with the arrow keys, and selected', async () => {
    await openMachines();
    const all = await rows();
    all[2]?.focus();
    await fireEvent.keyDown(all[2] as HTMLElement, { key: 'ArrowDown' });
    expect(document.activeElement).toBe(all[3]);
    await fireEvent.click(document.activeElement as HTMLElement);
    expect(await article('Held machine mail-04')).toBeTruthy();
    expect((await rows()).map((row) => row.getAttribute('aria-current'))).toEqual([
      'false',
      'false',
      'false',
      'true',
      'false',
    ]);
  });

  test('are shown alone where no other machine is', async () => {
    await openMachines((bridge) => {
      bridge.machines = [];
      bridge.definitions = [];
    });
    expect(await article('Held machine mail-04')).toBeTruthy();
    expect(screen.getByText('2 machines, 0 adopted, 2 held')).toBeTruthy();
  });

  test('are tried again, and then shown as they run', async () => {
    const bridge = await openMachines();
    await select(/^mail-04/);
    await fireEvent.click(button('Try again…'));
    await fireEvent.click(button('Try mail-04 again'));
    expect(await article('Machine mail-04')).toBeTruthy();
    expect(await screen.findByText('mail-04 runs again')).toBeTruthy();
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
    expect(screen.getByText('5 machines, 2 adopted, 1 held')).toBeTruthy();
    expect(bridge.askedFor('RetryMachine')).toEqual([{ session: 'mail-04' }]);
  });

  test('are given up with the name typed, and then gone', async () => {
    const bridge = await openMachines();
    await select(/^old-05/);
    expect(button('Try again…').disabled).toBe(true);
    await fireEvent.click(button('Give up…'));
    await type('Type old-05 to confirm', 'old-05');
    await fireEvent.click(button('Give up old-05'));
    expect(await screen.findByText('old-05 was given up')).toBeTruthy();
    expect(bridge.askedFor('AbandonMachine')).toEqual([{ session: 's5' }]);
    expect(await screen.findByText('4 machines, 1 adopted, 1 held')).toBeTruthy();
    expect(await article('Machine web-01')).toBeTruthy();
  });

  test('lead to their session', async () => {
    await openMachines((bridge) => {
      bridge.heldMachines = [heldMachine({ session: 'db-02' })];
    });
    await select(/^mail-04/);
    await fireEvent.click(button('Show in Sessions'));
    expect(await screen.findByRole('heading', { level: 1, name: 'Sessions' })).toBeTruthy();
    expect(await article('Session db-02')).toBeTruthy();
  });

  test('that run no more after an update are still the ones selected', async () => {
    const bridge = await openMachines((fake) => {
      fake.heldMachines = [];
    });
    await select(/^db-02/);
    const stopped = heldMachine({ session: 'db-02', name: 'db-02' });
    bridge.machines = bridge.machines.filter(({ name }) => name !== 'db-02');
    bridge.heldMachines = [stopped];
    await fireEvent.click(button('Refresh machines'));
    expect(await article('Held machine db-02')).toBeTruthy();
  });

  test('are read again when the sessions change', async () => {
    const bridge = await openMachines();
    await rows();
    const before = bridge.askedFor('ListHeldMachines').length;
    bridge.changeStatus('h1', { sessions: [] });
    await waitFor(() => expect(bridge.askedFor('ListHeldMachines')).toHaveLength(before + 1));
  });

  test('are waited for', async () => {
    const gate = Promise.withResolvers<object>();
    await openMachines((bridge) => bridge.answers.set('ListHeldMachines', () => gate.promise));
    expect(await screen.findByLabelText('Reading machines')).toBeTruthy();
    gate.resolve({ machines: [heldMachine()] });
    expect(await rows()).toHaveLength(4);
  });

  test('that cannot be read are a failure beside the others, with a way out', async () => {
    const bridge = await openMachines((fake) => {
      fake.answers.set('ListHeldMachines', () => {
        throw failure('KernelCallFailed', { call: 'read', errno: 'EIO', argument: 'web', message: 'no' });
      });
    });
    expect(await screen.findByText(/The held machines could not be read: read failed with EIO/)).toBeTruthy();
    expect(await rows()).toHaveLength(3);
    bridge.answers.delete('ListHeldMachines');
    await fireEvent.click(button('Retry'));
    await waitFor(async () => expect(await rows()).toHaveLength(5));
    expect(screen.queryByText(/could not be read/)).toBeNull();
  });

  test('come from the replica while the host is away, and are left as they are', async () => {
    await openMachines((bridge) => {
      bridge.live = false;
      bridge.hosts = bridge.hosts.map((host) => (host.id === 'h1' ? { ...host, state: 'away' } : host));
    });
    await select(/^mail-04/);
    const head = screen.getByRole('heading', { level: 1 }).parentElement as HTMLElement;
    expect(within(head).getByText(/^replica,/)).toBeTruthy();
    expect(button('Try again…').title).toBe('hv-01 is away and should return by itself.');
    expect(button('Give up…').disabled).toBe(true);
  });

  test('are in the palette with what can be done, or why not', async () => {
    await openMachines();
    await rows();
    await fireEvent.keyDown(window, { key: 'k', ctrlKey: true });
    expect(
      (await screen.findByRole('option', { name: /^Try old-05 again/ })).getAttribute('aria-disabled'),
    ).toBe('true');
    await fireEvent.click(await screen.findByRole('option', { name: /^Give up old-05/ }));
    expect(await screen.findByRole('dialog', { name: 'Give up old-05' })).toBeTruthy();
    expect(await article('Held machine old-05')).toBeTruthy();
  });

  test('are not started from their definition meanwhile', async () => {
    const [, idle] = definitions();
    const bridge = await openMachines((fake) => {
      fake.heldMachines = [heldMachine({ name: idle?.name ?? '' })];
    });
    await select(/^build-09.*Not running/s);
    expect(button('Start').disabled).toBe(true);
    expect(button('Start').title).toBe('build-09 is held. Try it again, or give it up first.');
    expect(bridge.askedFor('StartMachine')).toEqual([]);
  });
});
