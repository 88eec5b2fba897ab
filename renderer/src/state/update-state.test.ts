// SPDX-License-Identifier: Apache-2.0
/** The state of an update after each event, with a recording of what the agent said. */
import type { Progress } from '@luo-console/agent/interface';
import { describe, expect, test } from 'vitest';
import { machineRun, plan, progress, update } from '../../test/fake-data.ts';
import { recordedRefusal, recordedUpdate } from '../../test/recorded.ts';
import { Failure } from '../bridge/failure.ts';
import { afterEvent, initialState, type UpdateEvent, type UpdateState } from './update-state.ts';

const told = (events: readonly UpdateEvent[], from: UpdateState = initialState) =>
  events.reduce(afterEvent, from);
const heard = (one: Progress, offsetUs = 0): UpdateEvent => ({ kind: 'progress', progress: one, offsetUs });
const refusal = new Failure(
  'PlanStale',
  { changed: 'machines were started, ended or adopted since' },
  'stale',
);

describe.each([
  ['an update', recordedUpdate()],
  ['an update that the kernel refused', recordedRefusal()],
])('the recording of %s', (_, recording) => {
  const events = recording.heard.map<UpdateEvent>(({ progress: one, update: settled }) =>
    one ? heard(one, 7) : { kind: 'settled', update: settled ?? recording.ended },
  );

  test('is told from its first word to its outcome', () => {
    const running = told(events.filter(({ kind }) => kind === 'progress'));
    expect(running.stage).toBe('running');
    expect(running.id).toBe(recording.ended.id);
    const settled = told(events);
    expect(settled).toMatchObject({ stage: 'settled', update: recording.ended, progress: null });
  });

  test('has its phases in order, each ending where the next begins, on this machine’s clock', () => {
    const { seen } = told(events.filter(({ kind }) => kind === 'progress'));
    const phases = recording.ended.phases.map(({ phase }) => phase);
    const order = seen.map(({ phase }) => phases.indexOf(phase));
    expect(order).toEqual([...order].sort((one, other) => one - other));
    expect(seen[0]?.startedAtUs).toBe((recording.progress[0]?.phaseStartedAtUs ?? 0) + 7);
    seen.slice(0, -1).forEach(({ startedAtUs, durationUs }, at) => {
      expect(startedAtUs + (durationUs ?? 0)).toBe(seen[at + 1]?.startedAtUs);
    });
  });

  test('keeps the end of its grace after that is over', () => {
    const { graceEndsAtUs } = told(events.filter(({ kind }) => kind === 'progress'));
    expect(graceEndsAtUs).toBe((recording.announced.graceEndsAtUs ?? 0) + 7);
  });

  test('says in *prepared* that an abort works, and from the kexec on that none does', () => {
    expect(recording.announced).toMatchObject({ phase: 'prepared', mayAbort: true });
    for (const { phase, mayAbort } of recording.progress) {
      const before = ['preserving', 'prepared', 'suspending'].includes(phase);
      expect(mayAbort, phase).toBe(before);
    }
  });

  test('is the same heard twice, as from a stream and the status at once', () => {
    const twice = events.flatMap((event) => [event, event]);
    expect(told(twice)).toEqual(told(events));
  });

  test('is not begun again by progress that comes late', () => {
    const settled = told(events);
    for (const one of recording.progress) expect(afterEvent(settled, heard(one))).toBe(settled);
  });
});

describe('the state of an update', () => {
  test('goes from the choice to a plan to a run', () => {
    const planned = told([{ kind: 'asked' }, { kind: 'planned', plan: plan() }]);
    expect(planned.stage).toBe('plan');
    const started = told([{ kind: 'started' }], planned);
    expect(started).toMatchObject({ stage: 'running', id: null, progress: null });
    expect(started.plan).toBe(planned.plan);
  });

  test('goes back to the plan when the agent does not run it, and says why', () => {
    const back = told([
      { kind: 'planned', plan: plan() },
      { kind: 'started' },
      { kind: 'notStarted', failure: refusal },
    ]);
    expect(back).toMatchObject({ stage: 'plan', failure: refusal });
    expect(told([{ kind: 'asked' }], back).failure).toBeNull();
  });

  test('keeps a failure and nothing else of an act that failed', () => {
    const running = told([heard(progress('prepared'))]);
    expect(told([{ kind: 'failed', failure: refusal }], running)).toEqual({ ...running, failure: refusal });
  });

  test('is begun anew by the progress of another update', () => {
    const first = told([heard(progress('prepared', { graceEndsAtUs: 5, machines: [machineRun()] }))]);
    const other = told([heard(progress('preserving', { update: 'u-0005' }))], first);
    expect(other).toMatchObject({ id: 'u-0005', machines: [], graceEndsAtUs: null });
    expect(other.seen.map(({ phase }) => phase)).toEqual(['preserving']);
  });

  test('of somebody else has neither the plan that was looked at here nor its failure', () => {
    const looking = told([
      { kind: 'planned', plan: plan() },
      { kind: 'started' },
      { kind: 'notStarted', failure: refusal },
    ]);
    expect(told([heard(progress('preserving'))], looking)).toMatchObject({ plan: null, failure: null });
  });

  test('that was started here keeps its plan', () => {
    const started = told([{ kind: 'planned', plan: plan() }, { kind: 'started' }]);
    const heardOf = told([heard(progress('preserving')), heard(progress('prepared'))], started);
    expect(heardOf.plan).toBe(started.plan);
    expect(told([heard(progress('preserving', { update: 'u-0005' }))], heardOf).plan).toBeNull();
  });

  test('runs when somebody else started it while a plan was made, whatever that plan is', () => {
    const running = told([heard(progress('preserving')), { kind: 'planned', plan: plan() }]);
    expect(running.stage).toBe('running');
  });

  test('does not go back a phase, and leaves out what it did not hear', () => {
    const { seen } = told([
      heard(progress('preserving', { phaseStartedAtUs: 10 }), 5),
      heard(progress('kexec', { phaseStartedAtUs: 40 }), 5),
      heard(progress('prepared', { phaseStartedAtUs: 20 }), 5),
      heard(progress('retrieving', { phaseStartedAtUs: 100 }), 5),
    ]);
    expect(seen).toEqual([
      { phase: 'preserving', startedAtUs: 15, durationUs: 30 },
      { phase: 'kexec', startedAtUs: 45, durationUs: 60 },
      { phase: 'retrieving', startedAtUs: 105, durationUs: null },
    ]);
  });

  test('is forgotten when another update is wanted', () => {
    const settled = told([{ kind: 'settled', update: update() }]);
    expect(told([{ kind: 'startedOver' }], settled)).toEqual(initialState);
  });
});
