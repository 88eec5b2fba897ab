// SPDX-License-Identifier: Apache-2.0
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { type FakeBridge, failure } from '../../test/fake-bridge.ts';
import { nowUs, progress, second, update } from '../../test/fake-data.ts';
import { go, openConsole } from '../../test/open-console.ts';

async function plan(prepare?: (bridge: FakeBridge) => void): Promise<FakeBridge> {
  const bridge = await openConsole(prepare);
  await fireEvent.click(screen.getByRole('link', { name: 'Live update' }));
  await fireEvent.click(await screen.findByRole('button', { name: 'Plan live update' }));
  await screen.findByRole('list', { name: 'Steps' });
  return bridge;
}

async function run(): Promise<FakeBridge> {
  const bridge = await plan();
  await fireEvent.click(screen.getByRole('button', { name: 'Run live update' }));
  const button = screen.getByRole<HTMLButtonElement>('button', {
    name: 'Replace the kernel of hv-01: 7.3.4-a → 7.3.4-b',
  });
  expect(button.disabled).toBe(true);
  await fireEvent.input(screen.getByLabelText('Type hv-01 to confirm'), { target: { value: 'hv-01' } });
  expect(button.disabled).toBe(false);
  await fireEvent.click(button);
  return bridge;
}

describe('Live update', () => {
  test('offers only kernels that can read the sessions, with the reason for the others', async () => {
    await openConsole();
    await fireEvent.click(screen.getByRole('link', { name: 'Live update' }));
    const incompatible = await screen.findByRole<HTMLInputElement>('radio', { name: '7.4.0-rc2' });
    expect(incompatible.disabled).toBe(true);
    expect(screen.getByText(/luo-v6 in it, luo-v5 in the running kernel/)).toBeTruthy();
    expect(screen.getByRole<HTMLInputElement>('radio', { name: '7.3.4-b' }).checked).toBe(true);
  });

  test('a grace that cannot be is named before anything can run', async () => {
    await plan();
    const start = screen.getByRole<HTMLButtonElement>('button', { name: 'Run live update' });
    for (const [value, wrong] of [
      ['', true],
      ['601', true],
      ['1.5', true],
      ['600', false],
    ] as const) {
      await fireEvent.input(screen.getByLabelText(/^Grace, seconds/), { target: { value } });
      expect(start.disabled).toBe(wrong);
      expect(screen.queryByText('The grace is 0 to 600 whole seconds.') !== null).toBe(wrong);
    }
  });

  test('a stale plan is said to be stale, and nothing runs', async () => {
    const bridge = await run();
    bridge.end('RunUpdate', failure('PlanStale', { plan: 'p-17', changed: 'A session was created.' }));
    expect(await screen.findByText(/The host has changed since the plan was made/)).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Run live update' })).toBeTruthy();
  });

  test('runs through the kexec: phases, away, back by itself, outcome with digests', async () => {
    const bridge = await run();
    expect(bridge.askedFor('RunUpdate')[0]?.parameters).toEqual({ plan: 'p-17', graceSeconds: 5 });
    bridge.pushProgress('h1', progress('preserving', { done: 1, total: 4 }));
    expect(await screen.findByText('25 %')).toBeTruthy();
    bridge.pushProgress('h1', progress('kexec', { graceEndsAtUs: nowUs() + 60 * second }));
    expect(await screen.findByText(/s left to abort/)).toBeTruthy();
    expect(screen.getByRole('timer', { name: 'Elapsed' })).toBeTruthy();

    bridge.pushProgress('h1', progress('kexec', { graceEndsAtUs: nowUs() - second }));
    expect(await screen.findByRole('timer', { name: 'Blackout' })).toBeTruthy();

    bridge.end('RunUpdate', failure('NotConnected', { id: 'h1', state: 'away' }));
    bridge.changeHost('h1', { state: 'away', sinceUs: nowUs() });
    expect(await screen.findByText('The host is away, as expected.')).toBeTruthy();
    expect(screen.queryByRole('button', { name: 'Abort live update' })).toBeNull();

    bridge.changeHost('h1', { state: 'connected' });
    bridge.pushProgress('h1', progress('retrieving'));
    const phases = screen.getByRole('list', { name: 'Phases' });
    await waitFor(() => expect(within(phases).getAllByText('passed unseen')).toHaveLength(3));

    bridge.answers.set('GetUpdate', () => ({
      update: update({ id: 'u-0004', toRelease: '7.3.4-b', arrivedRelease: '7.3.4-b' }),
    }));
    bridge.changeStatus('h1', { progress: null, phase: 'normal', lastUpdate: 'u-0004' });
    expect(await screen.findByRole('heading', { name: 'Updated' })).toBeTruthy();
    expect(screen.getByText('8 of 8 match')).toBeTruthy();
    expect(screen.getByRole('img', { name: /Booting 11.6 s.*blackout 13.4 s/ })).toBeTruthy();
  });

  test('tells the grace from the time away, and what the blackout is without a machine', async () => {
    const bridge = await run();
    const at = nowUs();
    bridge.pushProgress(
      'h1',
      progress('kexec', { phaseStartedAtUs: at - 10 * second, graceEndsAtUs: at + 60 * second }),
    );
    const phases = await screen.findByRole('list', { name: 'Phases' });
    expect(await within(phases).findByText('announced, the host is still there')).toBeTruthy();
    expect(screen.queryByText(/No machine is concerned/)).toBeNull();
    bridge.pushProgress(
      'h1',
      progress('kexec', { phaseStartedAtUs: at - 10 * second, graceEndsAtUs: at - 2 * second }),
    );
    bridge.changeHost('h1', { state: 'away', sinceUs: at });
    expect(await within(phases).findByText(/^8\.0 s of grace, then away for \d/)).toBeTruthy();
    expect(screen.getByText(/No machine is concerned/)).toBeTruthy();
    expect(screen.getByText('The kexec is under way')).toBeTruthy();
  });

  test('does not stay cheerful about a host that does not come back', async () => {
    const bridge = await run();
    const at = nowUs();
    bridge.pushProgress('h1', progress('kexec', { graceEndsAtUs: at - 50 * second }));
    bridge.changeHost('h1', { state: 'away', sinceUs: at - 48 * second });
    expect(await screen.findByText('The host is away, as expected.')).toBeTruthy();
    // Its blackouts so far took 13.4 s; a minute is the least that is waited.
    bridge.pushProgress('h1', progress('kexec', { graceEndsAtUs: at - 250 * second }));
    bridge.changeHost('h1', { state: 'away', sinceUs: at - 248 * second });
    const alert = await screen.findByRole('alert');
    expect(
      within(alert).getByText(/^This takes longer than usual: the host has been away for 4 min 1\d s/),
    ).toBeTruthy();
    expect(within(alert).getByText(/Its blackout is usually 13\.4 s/)).toBeTruthy();
    expect(within(alert).getByText(/serial console/)).toBeTruthy();
    expect(within(alert).getByText(/power/)).toBeTruthy();
    expect(screen.queryByText('The host is away, as expected.')).toBeNull();
  });

  // It is announced in *prepared*; agents before this one did so in *kexec*.
  test.each(['prepared', 'kexec'] as const)(
    'says so when the host goes in its grace, in %s',
    async (phase) => {
      const bridge = await run();
      bridge.pushProgress('h1', progress(phase, { graceEndsAtUs: nowUs() + 600 * second }));
      bridge.changeHost('h1', { state: 'away', sinceUs: nowUs() });
      expect(await screen.findByText('The host went away before the kexec.')).toBeTruthy();
    },
  );

  test('keeps the serial console open while other views are looked at, and lets go of it at the end', async () => {
    const bridge = await run();
    bridge.pushProgress('h1', progress('preserving'));
    await waitFor(() => expect(bridge.askedFor('OpenTerminal')).toHaveLength(1));
    await go('Sessions');
    await go('Live update');
    await waitFor(() => expect(bridge.askedFor('WatchTerminal')).toHaveLength(2));
    expect(bridge.askedFor('OpenTerminal')).toHaveLength(1);
    expect(bridge.askedFor('CloseTerminal')).toEqual([]);
    const [, watched] = bridge.askedFor('WatchTerminal');
    await fireEvent.click(screen.getByRole('button', { name: 'Abort live update' }));
    await waitFor(() => expect(bridge.askedFor('CloseTerminal')).toEqual([watched]));
  });

  test('is watched from elsewhere, and its end is told there', async () => {
    const bridge = await run();
    bridge.pushProgress('h1', progress('retrieving'));
    await go('Hosts');
    await fireEvent.click(screen.getByRole('button', { name: /^lab-03/ }));
    const elsewhere = await screen.findByTitle('A live update of hv-01 is under way');
    expect(elsewhere.textContent).toContain('Retrieving');
    bridge.push('RunUpdate', {
      progress: null,
      update: update({ id: 'u-0004', outcome: 'cold_boot', blackoutUs: null }),
    });
    expect(await screen.findByText('Live update of hv-01: Cold boot')).toBeTruthy();
    expect(screen.queryByTitle('A live update of hv-01 is under way')).toBeNull();
  });

  test('is found again while the host is away and the console was only just opened', async () => {
    const bridge = await openConsole((fake) => {
      const [first, ...others] = fake.hosts;
      if (!first) throw new Error('there is a host');
      const at = nowUs() - 30 * second;
      // The host's clock is an hour behind, which the last status tells.
      const nowThere = at - 3600 * second;
      const known = progress('kexec', {
        phaseStartedAtUs: nowThere - 5 * second,
        graceEndsAtUs: nowThere + second,
        mayAbort: true,
      });
      fake.hosts = [
        {
          ...first,
          state: 'connecting',
          statusAtUs: at,
          status: { ...first.status, nowUs: nowThere, phase: 'kexec', progress: known },
        },
        ...others,
      ];
    });
    await fireEvent.click(screen.getByRole('link', { name: 'Live update' }));
    const timer = await screen.findByRole('timer', { name: 'Blackout' });
    expect(timer.textContent).toMatch(/^0:(29|3\d)/);
    bridge.changeHost('h1', { state: 'away', sinceUs: nowUs() });
    expect(await screen.findByText('The host is away, as expected.')).toBeTruthy();
  });

  test('cannot be aborted by who may only look, and says why', async () => {
    const bridge = await openConsole();
    const you = { uid: 1, gid: 1, pid: 1, user: 'lee', command: 'ssh', role: 'viewer' as const };
    bridge.changeStatus('h1', { you, progress: progress('prepared'), phase: 'prepared' });
    await fireEvent.click(screen.getByRole('link', { name: 'Live update' }));
    const abort = await screen.findByRole<HTMLButtonElement>('button', { name: 'Abort live update' });
    expect(abort.disabled).toBe(true);
    expect(
      screen.getByText('lee may look but not act: that needs the group luo-console-operator.'),
    ).toBeTruthy();
    expect(screen.getByText('viewer: looks only')).toBeTruthy();
  });

  test('is aborted before the kexec', async () => {
    const bridge = await run();
    bridge.pushProgress('h1', progress('prepared'));
    await fireEvent.click(await screen.findByRole('button', { name: 'Abort live update' }));
    expect(await screen.findByRole('heading', { name: 'Aborted' })).toBeTruthy();
    expect(bridge.askedFor('AbortUpdate')).toHaveLength(1);
  });

  test('shows an update that is under way when the window opens', async () => {
    const bridge = await openConsole();
    bridge.changeStatus('h1', { progress: progress('retrieving'), phase: 'retrieving' });
    await fireEvent.click(screen.getByRole('link', { name: 'Live update' }));
    expect(await screen.findByText('At retrieving')).toBeTruthy();
    expect(bridge.askedFor('FollowUpdate')).toHaveLength(1);
    bridge.push('FollowUpdate', { progress: null, update: update({ id: 'u-0004', outcome: 'unknown' }) });
    expect(await screen.findByRole('heading', { name: 'Unknown' })).toBeTruthy();
  });
});
