// SPDX-License-Identifier: Apache-2.0
/** What is made of what a rehearsal was seen to do: the machine's problem, or something that was left out. */
import { describe, expect, it } from 'vitest';
import { type Found, nothing, outcomeOf } from './outcome.ts';

const reached = (...points: ('starting' | 'loading' | 'loaded')[]) =>
  new Map(points.map((point, at) => [point, at * 2_000_000]));

const found = (did: Partial<Found['did']>, more: Partial<Found> = {}) =>
  outcomeOf({
    ...{ taken: nothing, said: '', failure: null, moved: new Map([['/run/vm/qmp', '/run/r/made0']]) },
    did: { reached: new Map(), failed: null, failedAt: null, done: [], ...did },
    ...more,
  });

describe('a rehearsal', () => {
  it('that came to its end has its times, µs', () => {
    const done = [{ what: 'present /run/saved', times: 1, doneNs: 3_000_000 }];
    const taken = { ...nothing, stoppedUs: 5 };
    expect(found({ reached: reached('starting', 'loading', 'loaded'), done }, { taken })).toEqual({
      ...taken,
      ...{ startUs: 2000, loadUs: 1000 },
    });
  });

  it('whose VMM failed says so in its words, with the names that the machine has', () => {
    const failed = 'the VMM did not listen on /run/r/made0: it ended';
    expect(found({ reached: reached('starting'), failed }, { said: 'qemu: no such disk' }).problem).toBe(
      'the VMM did not listen on /run/vm/qmp: it ended: qemu: no such disk',
    );
    expect(found({ reached: reached('starting', 'loading'), failed }).problem).toMatch(
      /^its state cannot be loaded: /,
    );
  });

  it.each([
    ['QEMU was not let write', { failed: 'it ended: /x: Read-only file system' }],
    ['QEMU was not let do something', { failed: 'it ended: Operation not permitted' }],
    ['the running one has something', { failed: 'it ended: Failed to get "write" lock' }],
    ['a port is taken', { failed: 'it ended: Address already in use' }],
    ['there is no memory', { failed: 'it ended: cannot set up guest memory: Cannot allocate memory' }],
    ['the kernel killed it', { failed: 'it ended; its VMM was ended by signal 9' }],
    ['its unit is not apart', { failed: 'nothing was started', failedAt: 'apart' }],
    ['it got no tap', { failed: 'making the tap', failedAt: 'tap tap0' }],
  ])('says nothing of the machine where %s', (_what, did) => {
    expect(found({ reached: reached('starting'), ...did })).toMatchObject({
      problem: null,
      left: [expect.stringContaining(did.failed)],
    });
  });

  it('whose VMM has crashed says so', () => {
    const failed = 'sending the state: Broken pipe; its VMM was ended by signal 11';
    expect(found({ reached: reached('starting', 'loading'), failed }).problem).toBe(
      `its state cannot be loaded: ${failed}`,
    );
  });

  it('that took its state too late says only that, whatever came of ending its VMM', () => {
    const taken = { ...nothing, stoppedUs: 5, left: ['loading its state: it was late'] };
    const failed = 'it ended; its VMM was ended by signal 9';
    const failure = new Error('killed');
    expect(found({ reached: reached('starting', 'loading'), failed }, { taken, failure })).toEqual({
      ...taken,
      ...{ startUs: 2000, loadUs: null },
    });
  });

  it.each([
    ['starting', [], nothing, 'why'],
    ['loading', ['starting', 'loading'], { ...nothing, stoppedUs: 5 }, 'loading its state: why'],
  ] as const)('that was ended while it was %s says what it left out', (_what, points, taken, left) => {
    const failure = new Error('why');
    expect(found({ reached: reached(...points) }, { taken, failure })).toMatchObject({
      ...{ problem: null, loadUs: null },
      left: [left],
    });
  });
});
