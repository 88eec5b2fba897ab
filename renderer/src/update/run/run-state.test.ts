// SPDX-License-Identifier: Apache-2.0
/** How a run stands, by phase, state of the host and grace: kind, button, text and counter. */
import type { Phase } from '@luo-console/agent/interface';
import type { ConnectionState } from '@luo-console/electron/interface';
import { describe, expect, test } from 'vitest';
import { machineRun, progress, second } from '../../../test/fake-data.ts';
import { recordedUpdate } from '../../../test/recorded.ts';
import { afterEvent, initialState, type UpdateState } from '../../state/update-state.ts';
import { updatePhases } from '../../words/phases.ts';
import { type RunFacts, runState } from './run-state.ts';

const startUs = 1_000_000 * second;

/** An update that is in a phase for three seconds, having spent ten in each one before. */
function updateIn(phase: Phase, more: Parameters<typeof progress>[1] = {}): UpdateState {
  const phases = updatePhases.slice(0, updatePhases.indexOf(phase) + 1);
  return phases.reduce((state, one, at) => {
    const last = at === phases.length - 1;
    const phaseStartedAtUs = startUs + at * 10 * second;
    return afterEvent(state, {
      kind: 'progress',
      progress: progress(one, { phaseStartedAtUs, ...(last ? more : {}) }),
      offsetUs: 0,
    });
  }, initialState);
}

const nowIn = (phase: Phase) => startUs + updatePhases.indexOf(phase) * 10 * second + 3 * second;

function look(phase: Phase, state: ConnectionState, more: Parameters<typeof progress>[1] = {}) {
  const nowUs = nowIn(phase);
  const host: RunFacts['host'] = { state, sinceUs: nowUs - second };
  return runState({ host, update: updateIn(phase, more), usualUs: null, nowUs });
}

/** Phase, then what the run is for a host that is connected, away or connecting, and failed or disconnected. */
const standings: [Phase, string, string, string, boolean][] = [
  ['preserving', 'steps', 'away early', 'lost', true],
  ['prepared', 'steps', 'away expected', 'lost', true],
  ['suspending', 'stopping', 'away expected', 'lost', true],
  ['kexec', 'stopping', 'away expected', 'lost', false],
  ['booting', 'steps', 'away expected', 'lost', false],
  ['retrieving', 'steps', 'away expected', 'lost', false],
  ['resuming', 'steps', 'away expected', 'lost', false],
  ['finishing', 'steps', 'away expected', 'lost', false],
];
const connections: [ConnectionState, 1 | 2 | 3][] = [
  ['connected', 1],
  ['away', 2],
  ['connecting', 2],
  ['failed', 3],
  ['disconnected', 3],
];

describe.each(standings)('in phase %s', (...row) => {
  const [phase] = row;
  test.each(connections)('a host that is %s', (state, column) => {
    const seen = look(phase, state);
    const kind = seen.kind === 'away' ? `away ${seen.reading}` : seen.kind;
    expect(kind).toBe(row[column]);
    // The button: the agent’s word, and only while it can be heard.
    expect(seen.mayAbort).toBe(state === 'connected' && row[4]);
    // The text: what the host said last, unless that is certainly over.
    const begun = updatePhases.indexOf(phase) <= updatePhases.indexOf('kexec');
    const leaving = kind === 'away expected' && begun;
    expect(seen.said).toBe(leaving ? 'The host is starting the new kernel' : `At ${phase}`);
    // The counter: without machines the blackout begins with the kexec, whether that was heard of or not.
    const left = updatePhases.indexOf(phase) >= updatePhases.indexOf('kexec') || leaving;
    expect(seen.counter.label).toBe(left ? 'Blackout' : 'Elapsed');
  });
});

describe('the grace', () => {
  const graceEndsAtUs = nowIn('prepared') + 4 * second;

  test('runs in *prepared*, and tells what is left of it', () => {
    expect(look('prepared', 'connected', { graceEndsAtUs })).toMatchObject({
      kind: 'grace',
      leftUs: 4 * second,
      mayAbort: true,
      counter: { label: 'Elapsed', us: 13 * second },
    });
  });

  test('does not make a blackout when it is over: the machines are still to be stopped', () => {
    expect(look('prepared', 'connected', { graceEndsAtUs: nowIn('prepared') - second })).toMatchObject({
      kind: 'steps',
      counter: { label: 'Elapsed' },
    });
  });

  test.each(['away', 'connecting'] as const)('is no time for a host to be %s', (state) => {
    expect(look('prepared', state, { graceEndsAtUs })).toMatchObject({
      kind: 'away',
      reading: 'early',
      said: 'At prepared',
    });
  });

  test.each(['failed', 'disconnected'] as const)('says nothing to a host that is %s', (state) => {
    expect(look('prepared', state, { graceEndsAtUs })).toMatchObject({ kind: 'lost', mayAbort: false });
  });
});

test('a host that went before its phase *kexec* was heard of has been in its blackout since', () => {
  expect(look('prepared', 'away').counter).toEqual({ label: 'Blackout', us: second });
});

test('whether an abort works is the agent’s word, not a matter of phases', () => {
  expect(look('prepared', 'connected', { mayAbort: false }).mayAbort).toBe(false);
  expect(look('suspending', 'connected', { mayAbort: true }).mayAbort).toBe(true);
});

test('before the first word of the agent nothing is offered', () => {
  const host: RunFacts['host'] = { state: 'connected', sinceUs: startUs };
  const update = afterEvent(initialState, { kind: 'started' });
  expect(runState({ host, update, usualUs: null, nowUs: startUs })).toEqual({
    kind: 'steps',
    said: 'Starting the live update',
    mayAbort: false,
    counter: { label: 'Elapsed', us: 0 },
  });
});

describe('the counter', () => {
  const counterOf = (update: UpdateState, nowUs: number) =>
    runState({ host: { state: 'connected', sinceUs: nowUs }, update, usualUs: null, nowUs }).counter;

  test('begins at the kexec and stands when the sessions are retrieved', () => {
    const kexecUs = updateIn('kexec').seen.at(-1)?.startedAtUs ?? 0;
    expect(counterOf(updateIn('kexec'), kexecUs + 2 * second)).toEqual({ label: 'Blackout', us: 2 * second });
    expect(counterOf(updateIn('finishing'), kexecUs + 900 * second)).toEqual({
      label: 'Blackout',
      us: 30 * second,
    });
  });

  test('begins with the first machine that stops, in whatever phase', () => {
    const nowUs = nowIn('suspending');
    const machines = [machineRun({ stage: 'saved', suspendedAtUs: nowUs - second, blackoutUs: null })];
    expect(counterOf(updateIn('suspending', { machines }), nowUs)).toEqual({ label: 'Blackout', us: second });
  });

  test('counts nothing as blackout when the kexec was not heard of', () => {
    const heard = [progress('preserving', { phaseStartedAtUs: startUs }), progress('retrieving')];
    const update = heard.reduce(
      (state, one) => afterEvent(state, { kind: 'progress', progress: one, offsetUs: 0 }),
      initialState,
    );
    expect(counterOf(update, startUs + 5 * second)).toEqual({ label: 'Elapsed', us: 5 * second });
  });
});

test('the recording of an update is steps, then grace, then stopping', () => {
  const { progress: heard } = recordedUpdate();
  const kinds: string[] = [];
  let update = initialState;
  for (const one of heard) {
    update = afterEvent(update, { kind: 'progress', progress: one, offsetUs: 0 });
    const nowUs = one.graceEndsAtUs === null ? one.phaseStartedAtUs : one.graceEndsAtUs - second;
    const seen = runState({ host: { state: 'connected', sinceUs: 0 }, update, usualUs: null, nowUs });
    expect(seen.mayAbort).toBe(one.mayAbort);
    if (kinds.at(-1) !== seen.kind) kinds.push(seen.kind);
  }
  expect(kinds.slice(0, 3)).toEqual(['steps', 'grace', 'stopping']);
});
