// SPDX-License-Identifier: Apache-2.0
/** An update in the whole window, from the choice of a kernel to the outcome. */
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { type FakeBridge, failure } from '../../test/fake-bridge.ts';
import { plan as madePlan, nowUs, progress, second, update } from '../../test/fake-data.ts';
import { go, openConsole } from '../../test/open-console.ts';
import { recordedUpdate } from '../../test/recorded.ts';
import { abortLimit, runWords } from '../words/run.ts';

const recorded = recordedUpdate(nowUs() - 20 * second);

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
    expect(screen.getByText(/^luo-v5 here, luo-v6 there\. It cannot be chosen\.$/)).toBeTruthy();
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
    bridge.end(
      'RunUpdate',
      failure('PlanStale', { plan: 'p-17', changed: 'machines were started, ended or adopted since' }),
    );
    expect(await screen.findByText(/The host has changed since the plan was made/)).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Run live update' })).toBeTruthy();
  });

  test('runs through the kexec as recorded: grace, away, back by itself, outcome with digests', async () => {
    const bridge = await run();
    expect(bridge.askedFor('RunUpdate')[0]?.parameters).toEqual({ plan: 'p-17', graceSeconds: 5 });
    bridge.pushProgress('h1', progress('preserving', { update: recorded.ended.id, done: 1, total: 4 }));
    expect(await screen.findByText('25 %')).toBeTruthy();

    const { announced } = recorded;
    const graceEndsAtUs = nowUs() + 60 * second;
    bridge.pushProgress('h1', { ...announced, graceEndsAtUs });
    expect(await screen.findByText(/^The update is announced: (60|5\d) s left in the grace$/)).toBeTruthy();
    expect(screen.getByText(abortLimit)).toBeTruthy();
    const phases = screen.getByRole('list', { name: 'Phases' });
    expect(within(phases).getByText(/^announced, (60|5\d) s of grace left$/)).toBeTruthy();
    expect(screen.getByRole('timer', { name: 'Elapsed' })).toBeTruthy();

    // When it is over nothing has happened to the machines yet: an abort still works, and nothing is away.
    bridge.pushProgress('h1', { ...announced, graceEndsAtUs: nowUs() - second });
    await waitFor(() => expect(screen.queryByText(/left in the grace/)).toBeNull());
    expect(screen.getByRole('timer', { name: 'Elapsed' })).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Abort live update' })).toBeTruthy();
    expect(screen.queryByText(runWords.hostBlackout)).toBeNull();

    bridge.pushProgress('h1', recorded.in('kexec'));
    expect(await screen.findByRole('timer', { name: 'Blackout' })).toBeTruthy();
    expect(screen.queryByRole('button', { name: 'Abort live update' })).toBeNull();
    expect(screen.getByText(runWords.hostBlackout)).toBeTruthy();

    bridge.end('RunUpdate', failure('NotConnected', { id: 'h1', state: 'away' }));
    bridge.changeHost('h1', { state: 'away', sinceUs: nowUs() });
    expect(await screen.findByText('The host is away, as expected.')).toBeTruthy();
    expect(screen.getByText('The host is starting the new kernel')).toBeTruthy();

    bridge.changeHost('h1', { state: 'connected' });
    // The next kernel's agent names the steps of the plan that this window made.
    const [last] = madePlan().steps.slice(-1);
    bridge.pushProgress('h1', progress('finishing', { update: recorded.ended.id, step: last?.id ?? '' }));
    expect(await screen.findByText(`Step: ${last?.title}`)).toBeTruthy();
    await waitFor(() => expect(within(phases).getAllByText('not seen').length).toBeGreaterThan(1));

    bridge.answers.set('GetUpdate', () => ({ update: recorded.ended }));
    bridge.changeStatus('h1', { progress: null, phase: 'normal', lastUpdate: recorded.ended.id });
    expect(await screen.findByRole('heading', { name: 'Updated' })).toBeTruthy();
    expect(screen.getByText(/^\d+ of \d+ match$/)).toBeTruthy();
    expect(screen.getByRole('img', { name: /Prepared .* grace.*Booting .*blackout \d/ })).toBeTruthy();
  });

  test('does not stay cheerful about a host that does not come back', async () => {
    const bridge = await run();
    const at = nowUs();
    const awaySince = async (us: number) => {
      bridge.pushProgress('h1', progress('kexec', { phaseStartedAtUs: us }));
      bridge.changeHost('h1', { state: 'away', sinceUs: us + 2 * second });
    };
    await awaySince(at - 50 * second);
    expect(await screen.findByText('The host is away, as expected.')).toBeTruthy();
    // Its blackouts so far took 13.4 s; a minute is the least that is waited.
    vi.setSystemTime(at / 1000 + 200_000);
    const alert = await screen.findByRole('alert');
    expect(
      within(alert).getByText(/^This takes longer than usual: the host has been away for 4 min 1\d s/),
    ).toBeTruthy();
    expect(within(alert).getByText(/Its blackout is usually 13\.4 s/)).toBeTruthy();
    expect(within(alert).getByText(/serial console/)).toBeTruthy();
    expect(within(alert).getByText(/power/)).toBeTruthy();
    expect(screen.queryByText('The host is away, as expected.')).toBeNull();
  });

  test('says so when the host goes in its grace', async () => {
    const bridge = await run();
    bridge.pushProgress('h1', { ...recorded.announced, graceEndsAtUs: nowUs() + 600 * second });
    bridge.changeHost('h1', { state: 'away', sinceUs: nowUs() });
    expect(await screen.findByText('The host went away before the kexec.')).toBeTruthy();
  });

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
      const known = { ...recorded.in('kexec'), phaseStartedAtUs: nowThere + second };
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
      screen.getByText('lee may look but not act. Acting needs the group luo-console-operator.'),
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
