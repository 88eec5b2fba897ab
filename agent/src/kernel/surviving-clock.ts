// SPDX-License-Identifier: Apache-2.0
/**
 * A clock that goes on through a kexec. None of the kernel's does. `CLOCK_BOOTTIME` starts again at zero.
 * `CLOCK_REALTIME` is set again from the machine's battery clock, which on a PC counts whole seconds
 * (`mc146818_get_time`). A blackout measured with it can be wrong by a second. A kexec resets nothing, so the
 * processor's time-stamp counter goes on. Its rate is measured against `CLOCK_BOOTTIME` as long as the agent runs. The
 * old kernel's agent writes down what it read and when.
 *
 * The agent checks that the counter survived: it must agree with the battery clock within two seconds. If it does not
 * (a processor that stops it, a machine that was reset), the real-time clock is used.
 */
import type { KernelControl } from '@luo-console/native';
import * as v from 'valibot';

/** What one kernel's agent leaves to the next one's. `counter` in ticks, `perSecond` its rate, `atUs` the time then. */
export const ClockReading = v.object({
  counter: v.pipe(v.string(), v.regex(/^\d{1,20}$/)),
  perSecond: v.pipe(v.number(), v.minValue(1)),
  atUs: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});
export type ClockReading = v.InferOutput<typeof ClockReading>;

type Clocks = Pick<KernelControl, 'clock' | 'counter'>;

/** Shortest time over which the counter's rate is measured, in ns: reading both takes about a microsecond. */
const leastNs = 100_000_000n;
/** How far the battery clock may be off: it counts whole seconds, and may be read late in one. */
const mostUs = 2_000_000;

const realtimeUs = (clocks: Clocks): number => Number(clocks.clock('realtime') / 1000n);

/** Measures the counter's rate from the moment it is made. */
export class CounterRate {
  readonly #clocks: Clocks;
  readonly #counter: bigint | null;
  readonly #boottime: bigint;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
    this.#counter = clocks.counter();
    this.#boottime = clocks.clock('boottime');
  }

  /** What to leave to the next kernel; null without a counter, or before its rate is known. */
  read(): ClockReading | null {
    const counter = this.#clocks.counter();
    const passed = this.#clocks.clock('boottime') - this.#boottime;
    if (counter === null || this.#counter === null || passed < leastNs || counter <= this.#counter)
      return null;
    const perSecond = (Number(counter - this.#counter) / Number(passed)) * 1e9;
    return { counter: counter.toString(), perSecond, atUs: realtimeUs(this.#clocks) };
  }
}

/** Time in µs on the clock of the kernel before. */
export class SurvivingClock {
  readonly #clocks: Clocks;
  readonly #reading: ClockReading | null;
  /** Whether the counter is used; the real-time clock otherwise, good to about a second. */
  readonly exact: boolean;

  constructor(clocks: Clocks, reading: ClockReading | null) {
    this.#clocks = clocks;
    this.#reading = reading;
    const counted = this.#counted();
    this.exact = counted !== null && Math.abs(counted - realtimeUs(clocks)) <= mostUs;
  }

  nowUs(): number {
    return (this.exact ? this.#counted() : null) ?? realtimeUs(this.#clocks);
  }

  /** When this kernel's clocks began. */
  startedAtUs(): number {
    return this.nowUs() - Number(this.#clocks.clock('boottime') / 1000n);
  }

  #counted(): number | null {
    const counter = this.#clocks.counter();
    if (this.#reading === null || counter === null) return null;
    const ticks = Number(counter - BigInt(this.#reading.counter));
    return ticks < 0 ? null : this.#reading.atUs + Math.round((ticks / this.#reading.perSecond) * 1e6);
  }
}
