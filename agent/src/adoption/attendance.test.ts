// SPDX-License-Identifier: Apache-2.0
/** What the agent and VMMs that attend a session say to each other before a kexec. */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Attendance } from './attendance.ts';

const never = new AbortController().signal;

/** Attends a session and answers, whenever its machine has to stand still, with what `answer` says; undefined for not at all. */
function attend(attendance: Attendance, session: string, answer: () => string | null | undefined) {
  const told: boolean[] = [];
  const leave = new AbortController();
  const gone = (async () => {
    for await (const { still, question } of attendance.attend(session, leave.signal)) {
      told.push(still);
      const said = still ? answer() : undefined;
      if (said !== undefined) attendance.report(session, said, question);
    }
  })();
  return {
    told,
    leave: async () => {
      leave.abort();
      await gone;
    },
  };
}

/** Lets everything run that is ready to. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('attended sessions', () => {
  it('are not waited for if there are none', async () => {
    await new Attendance().standStill(60_000, never);
  });

  it('are waited for until each machine stands still, and told when it may run', async () => {
    const attendance = new Attendance();
    const first = attend(attendance, 'first', () => null);
    const second = attend(attendance, 'second', () => undefined);
    await settle();
    expect(attendance.sessions).toEqual(['first', 'second']);
    let done = false;
    const standing = attendance.standStill(60_000, never).finally(() => {
      done = true;
    });
    await settle();
    expect({ done, told: second.told }).toEqual({ done: false, told: [false, true] });
    attendance.report('second', null);
    await standing;
    attendance.letRun();
    await settle();
    expect([first.told, second.told]).toEqual([
      [false, true, false],
      [false, true, false],
    ]);
    await first.leave();
    await second.leave();
    expect(attendance.sessions).toEqual([]);
  });

  it('say why their machine cannot come along', async () => {
    const attendance = new Attendance();
    const each = attend(attendance, 'guest', () => 'its memory is not preserved yet');
    await settle();
    await expect(attendance.standStill(60_000, never)).rejects.toThrow(
      'session guest: its memory is not preserved yet',
    );
    await each.leave();
  });

  it('are a problem if whoever attends one leaves without an answer', async () => {
    const attendance = new Attendance();
    const each = attend(attendance, 'guest', () => undefined);
    await settle();
    const standing = expect(attendance.standStill(60_000, never)).rejects.toThrow(
      'session guest: the VMM that attended it has gone',
    );
    await each.leave();
    await standing;
  });

  it('are a problem if there is no answer in time, or the update is aborted before', async () => {
    const attendance = new Attendance();
    const each = attend(attendance, 'guest', () => undefined);
    await settle();
    await expect(attendance.standStill(1, never)).rejects.toThrow(
      'session guest: its VMM did not report within 1 ms',
    );
    const aborted = new AbortController();
    const standing = attendance.standStill(60_000, aborted.signal);
    aborted.abort(new Error('called off'));
    await expect(standing).rejects.toThrow('called off');
    expect(() => attendance.report('guest', null)).toThrow(
      expect.objectContaining({ refusal: 'InvalidValue' }),
    );
    await each.leave();
  });

  it('end the wait for all others as soon as one of them cannot be stopped', async () => {
    const attendance = new Attendance();
    const silent = attend(attendance, 'silent', () => undefined);
    const busy = attend(attendance, 'busy', () => 'it is busy');
    await settle();
    await expect(attendance.standStill(60_000, never)).rejects.toThrow('session busy: it is busy');
    await silent.leave();
    await busy.leave();
  });

  it('are asked anew by each update: an answer to the one before is not taken, and its limit ends nothing', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const attendance = new Attendance();
    const each = attend(attendance, 'guest', () => undefined);
    await settle();
    const first = expect(attendance.standStill(10_000, never)).rejects.toThrow('its update has ended');
    await settle();
    attendance.letRun();
    await first;
    await settle();
    vi.advanceTimersByTime(9000);
    const second = attendance.standStill(10_000, never);
    // It was not told of this one yet.
    expect(() => attendance.report('guest', null)).toThrow(
      expect.objectContaining({ refusal: 'InvalidValue' }),
    );
    await settle();
    expect(() => attendance.report('guest', null, 1)).toThrow(
      expect.objectContaining({
        refusal: 'InvalidValue',
        parameters: expect.objectContaining({ parameter: 'question' }),
      }),
    );
    vi.advanceTimersByTime(2000);
    attendance.report('guest', null, 2);
    await second;
    expect(each.told).toEqual([false, true, false, true]);
    await each.leave();
  });

  it('have one attendant, and an answer only where there was a question', async () => {
    const attendance = new Attendance();
    const each = attend(attendance, 'guest', () => null);
    await settle();
    await expect(attendance.attend('guest', never).next()).rejects.toMatchObject({ refusal: 'InvalidValue' });
    expect(() => attendance.report('guest', null)).toThrow(
      expect.objectContaining({ refusal: 'InvalidValue' }),
    );
    expect(() => attendance.report('other', null)).toThrow(
      expect.objectContaining({ refusal: 'InvalidValue' }),
    );
    await each.leave();
    const next = attend(attendance, 'guest', () => null);
    await settle();
    expect(next.told).toEqual([false]);
    await next.leave();
  });

  it('are told at once if they are attended while others stand still', async () => {
    const attendance = new Attendance();
    await attendance.standStill(60_000, never);
    const each = attend(attendance, 'late', () => undefined);
    await settle();
    expect(each.told).toEqual([true]);
    await each.leave();
  });
});
