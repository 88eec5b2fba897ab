// SPDX-License-Identifier: Apache-2.0
/** A run on the screen, for each way it can stand: its notice, its counter and its button. */
import type { Progress, Update } from '@luo-console/agent/interface';
import type { ConnectionState, Host } from '@luo-console/electron/interface';
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { flushSync } from 'svelte';
import { describe, expect, test } from 'vitest';
import { failure } from '../../../test/fake-bridge.ts';
import { hosts, machineRun, nowUs, plan, progress, second, update, you } from '../../../test/fake-data.ts';
import { renderInConsole } from '../../../test/in-console.ts';
import { recordedUpdate } from '../../../test/recorded.ts';
import { afterEvent, initialState } from '../../state/update-state.ts';
import { UpdateView } from '../../state/update-view.svelte.ts';
import { abortLimit, awayWords, runWords } from '../../words/run.ts';
import RunStage from './RunStage.svelte';

function show(heard: Progress | null, more: Partial<Host> = {}) {
  const [first] = hosts();
  if (!first) throw new Error('there is a host');
  const host: Host = { ...first, serialSocket: '', ...more };
  const settled: Update[] = [];
  const run = new UpdateView(host.id, (one) => settled.push(one));
  if (heard) run.observe({ ...host, state: 'connected', status: { ...host.status, progress: heard } });
  const { bridge } = renderInConsole(RunStage, { host, run });
  return { bridge, run, settled };
}

const abort = () => screen.queryByRole<HTMLButtonElement>('button', { name: 'Abort live update' });
const timer = () => screen.getByRole('timer').getAttribute('aria-label');

describe('a run', () => {
  test('that nothing is heard of yet says that it starts, and offers nothing', () => {
    show(null);
    expect(screen.getByText(runWords.starting)).toBeTruthy();
    expect(abort()).toBeNull();
    expect(timer()).toBe('Elapsed');
  });

  test('in its steps can be aborted', async () => {
    const { bridge, settled } = show(progress('preserving', { done: 1, total: 2 }));
    expect(screen.getByText('At preserving')).toBeTruthy();
    expect(screen.getByText('50 %')).toBeTruthy();
    const button = abort();
    if (!button) throw new Error('an abort is offered');
    await fireEvent.click(button);
    await waitFor(() => expect(settled.map(({ outcome }) => outcome)).toEqual(['aborted']));
    expect(bridge.askedFor('AbortUpdate')).toHaveLength(1);
  });

  test('that cannot be aborted after all says why', async () => {
    const { bridge } = show(progress('suspending'));
    bridge.answers.set('AbortUpdate', () => {
      throw failure('WrongPhase', { phase: 'kexec', needed: 'a phase before the kexec' });
    });
    await fireEvent.click(abort() as HTMLButtonElement);
    expect((await screen.findByRole('alert')).textContent).toMatch(
      /Not aborted: Not possible in phase kexec/,
    );
  });

  test('that is being aborted says so, and is not aborted twice', async () => {
    const gate = Promise.withResolvers<object>();
    const { bridge, settled } = show(progress('prepared'));
    bridge.answers.set('AbortUpdate', () => gate.promise);
    await fireEvent.click(abort() as HTMLButtonElement);
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Aborting…' }).disabled).toBe(true);
    gate.resolve({ update: update({ id: 'u-0004', outcome: 'aborted' }) });
    await waitFor(() => expect(settled).toHaveLength(1));
    expect(bridge.askedFor('AbortUpdate')).toHaveLength(1);
  });

  test('that was planned here names its step and its kernel', () => {
    const { run } = show(null);
    run.state = afterEvent(
      { ...initialState, stage: 'running', plan: plan() },
      { kind: 'progress', progress: progress('preserving', { step: 'load-kernel' }), offsetUs: 0 },
    );
    flushSync();
    expect(screen.getByText('Step: Load 7.3.4-b')).toBeTruthy();
    expect(screen.getByText('7.3.4-b')).toBeTruthy();
  });

  test('of somebody else names the kernel that is loaded, and no step', () => {
    const [host] = hosts();
    const loadedKernel = { release: '7.4.0', path: '/boot/vmlinuz-7.4.0', commandLine: '' };
    show(progress('prepared', { step: 'load-kernel' }), { status: { ...host?.status, loadedKernel } });
    expect(screen.getByText('7.4.0')).toBeTruthy();
    expect(screen.queryByText(/^Step: /)).toBeNull();
  });

  test('that has nothing to count yet is at 0 %', () => {
    show(progress('preserving', { done: 0, total: 0 }));
    expect(screen.getByText('0 %')).toBeTruthy();
  });

  test('shows its machines, and the sessions that are in it', () => {
    show(progress('suspending', { machines: [machineRun({ stage: 'saved' })] }));
    expect(screen.getByRole('table', { name: 'Machines in it' })).toBeTruthy();
    const carried = within(screen.getByRole('region', { name: 'Sessions in it' })).getAllByRole('listitem');
    expect(carried.map((one) => one.textContent?.replace(/\s+/g, ' ').trim())).toEqual([
      'web-01 4 descriptors, 2 GiB',
      'db-02 3 descriptors, 8.5 GiB',
      'build-cache 1 descriptor, 640 MiB',
    ]);
  });

  test.each<[string, Partial<Host>]>([
    ['no session holds anything', { status: { ...hosts()[0]?.status, sessions: [] } }],
    ['nothing is known of the host', { status: null }],
  ])('has no sessions in it when %s', (_, more) => {
    show(progress('prepared'), more);
    expect(screen.queryByRole('region', { name: 'Sessions in it' })).toBeNull();
  });

  test('has the serial console beside it if the host has one', async () => {
    show(progress('prepared'), { serialSocket: '/run/serial' });
    expect(screen.getByRole('region', { name: 'Serial console' })).toBeTruthy();
    show(progress('prepared'), { serialSocket: null });
    expect(screen.queryByRole('region', { name: 'Serial console' })).toBeNull();
  });

  test('that nobody knows of any more says so, and lets go', async () => {
    const { bridge, run } = show(progress('kexec'));
    bridge.answers.set('GetUpdate', () => {
      throw failure('UpdateNotFound', { id: 'u-0004' });
    });
    const [host] = hosts();
    if (!host) throw new Error('there is a host');
    run.observe({ ...host, status: { ...host.status, progress: null } });
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toMatch(/How the live update ended is not known: Live update u-0004 not found/);
    expect(screen.queryByText(/Not aborted/)).toBeNull();
    await fireEvent.click(screen.getByRole('button', { name: 'Another live update' }));
    expect(run.state.stage).toBe('choose');
  });

  test('in its grace counts down, and says until when an abort works', () => {
    show({ ...recordedUpdate().announced, graceEndsAtUs: nowUs() + 30 * second });
    expect(screen.getByText(/^The update is announced: (30|29) s left in the grace$/)).toBeTruthy();
    expect(screen.getByText(abortLimit)).toBeTruthy();
    expect(abort()).not.toBeNull();
    expect(timer()).toBe('Elapsed');
  });

  test('that stops its machines counts their blackout, and can still be aborted', () => {
    const machines = [machineRun({ stage: 'saved', suspendedAtUs: nowUs() - second, blackoutUs: null })];
    show(progress('suspending', { machines }));
    expect(timer()).toBe('Blackout');
    expect(screen.getByText(runWords.machinesBlackout)).toBeTruthy();
    expect(abort()).not.toBeNull();
  });

  test('in its kexec counts the blackout, and offers no abort', () => {
    show(recordedUpdate().in('kexec'));
    expect(timer()).toBe('Blackout');
    expect(screen.getByText(runWords.hostBlackout)).toBeTruthy();
    expect(abort()).toBeNull();
  });

  // Times are those of the test: what was made when this file was read may be seconds old by then.
  test.each<[string, () => Progress, string]>([
    ['early', () => progress('preserving'), awayWords.early],
    ['as expected', () => progress('kexec'), awayWords.expected],
    [
      'late',
      () => progress('kexec', { phaseStartedAtUs: nowUs() - 250 * second }),
      awayWords.late(250 * second),
    ],
  ])('of a host that is away %s says so', (_, heard, words) => {
    show(heard(), { state: 'away', sinceUs: nowUs() });
    expect(screen.getByText(words)).toBeTruthy();
    expect(abort()).toBeNull();
  });

  test.each<ConnectionState>(['failed', 'disconnected'])('of a host that is %s goes on unseen', (state) => {
    show(progress('kexec'), { state });
    expect(screen.getByText(runWords.notConnected('hv-01'))).toBeTruthy();
    expect(screen.getByText(/^Last heard /)).toBeTruthy();
    expect(screen.getByText(runWords.goesOn)).toBeTruthy();
    expect(abort()).toBeNull();
  });

  test('cannot be aborted by a viewer, and says what that needs', () => {
    const [first] = hosts();
    show(progress('prepared'), { status: { ...first?.status, you: { ...you, role: 'viewer' } } });
    expect(abort()?.disabled).toBe(true);
    expect(screen.getByText(/may look but not act/)).toBeTruthy();
  });

  test('that has ended tells its outcome once', async () => {
    const { run, settled } = show(progress('kexec'));
    const [host] = hosts();
    if (!host) throw new Error('there is a host');
    window.luo = Object.assign(Object.create(window.luo ?? null), {
      call: async () => ({ parameters: { update: update({ id: 'u-0004', outcome: 'returned' }) } }),
      stream: () => () => {},
    });
    run.observe({ ...host, status: { ...host.status, progress: null } });
    await waitFor(() => expect(settled).toHaveLength(1));
    expect(run.state).toMatchObject({ stage: 'settled', progress: null });
  });
});
