// SPDX-License-Identifier: Apache-2.0
/** When the clock over the blackout ends an update. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { StopClock, StoppedTooLong } from './stop-clock.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('ends the update once, when the limit has passed', () => {
  const end = vi.fn();
  const clock = new StopClock(2_000_000, end);
  clock.start();
  vi.advanceTimersByTime(1999);
  clock.needInTime();
  expect(end).not.toHaveBeenCalled();
  vi.advanceTimersByTime(5000);
  expect(end).toHaveBeenCalledExactlyOnceWith(expect.any(StoppedTooLong));
});

it('is late although its timer had no turn yet', () => {
  const clock = new StopClock(2_000_000, vi.fn());
  clock.start();
  vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 2001);
  expect(() => clock.needInTime()).toThrow('machines were stopped for 2 seconds');
  vi.restoreAllMocks();
});

it('ends nothing before it starts, once it is stopped, or without a limit', () => {
  const end = vi.fn();
  const clock = new StopClock(1_000_000, end);
  const endless = new StopClock(null, end);
  clock.needInTime();
  clock.start();
  endless.start();
  clock.stop();
  vi.advanceTimersByTime(10_000);
  clock.needInTime();
  endless.needInTime();
  expect(end).not.toHaveBeenCalled();
});
