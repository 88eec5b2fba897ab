// SPDX-License-Identifier: Apache-2.0
/** A run on the screen, for each way it can stand: its notice, its counter and its button. */
import type { Progress, Update } from '@luo-console/agent/interface';
import type { ConnectionState, Host } from '@luo-console/electron/interface';
import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { failure } from '../../../test/fake-bridge.ts';
import { hosts, machineRun, nowUs, progress, second, update, you } from '../../../test/fake-data.ts';
import { renderInConsole } from '../../../test/in-console.ts';
import { recordedUpdate } from '../../../test/recorded.ts';
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

  test.each<[string, Progress, Partial<Host>, string]>([
    ['early', progress('preserving'), { sinceUs: nowUs() }, awayWords.early],
    ['as expected', progress('kexec'), { sinceUs: nowUs() }, awayWords.expected],
    [
      'late',
      progress('kexec', { phaseStartedAtUs: nowUs() - 250 * second }),
      { sinceUs: nowUs() },
      awayWords.late(250 * second),
    ],
  ])('of a host that is away %s says so', (_, heard, more, words) => {
    show(heard, { state: 'away', ...more });
    expect(screen.getByText(words)).toBeTruthy();
    expect(abort()).toBeNull();
  });

  test.each<ConnectionState>(['failed', 'disconnected'])('of a host that is %s goes on unseen', (state) => {
    show(progress('kexec'), { state });
    expect(screen.getByText(runWords.notConnected('hv-01'))).toBeTruthy();
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
