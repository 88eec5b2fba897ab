// SPDX-License-Identifier: Apache-2.0
/**
 * A clock that goes on through a kexec. None of the kernel's does. `CLOCK_BOOTTIME` starts again at zero.
 * `CLOCK_REALTIME` is set again from the machine's battery clock, which on a PC counts whole seconds
 * (`mc146818_get_time`), and which nobody may have set for years. A kexec resets nothing, so the processor's time-stamp
 * counter goes on. Its rate is measured against `CLOCK_BOOTTIME` as long as the agent runs. The old kernel's agent
 * writes down what it read and when.
 *
 * The agent checks that the counter survived: by it and by the battery clock the same time must have passed, within two
 * seconds. Whether the battery clock is right does not matter, because only differences of it count. If they do not agree
 * the battery clock's seconds are used. A processor may stop its counter, or a kernel take it for faster than it is.
 */
import { join } from 'node:path';
import type { KernelControl } from '@luo-console/native';
import * as v from 'valibot';
import { readBounded } from '../host/read-bounded.ts';

/** What one kernel's agent leaves to the next one's. `counter` in ticks, `perSecond` its rate, `atUs` the time then. */
export const ClockReading = v.object({
  counter: v.pipe(v.string(), v.regex(/^\d{1,20}$/)),
  perSecond: v.pipe(v.number(), v.minValue(1)),
  atUs: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  /** What the battery clock said earlier, in seconds, and the time then; null if there is none, or it was not asked. */
  battery: v.optional(
    v.nullable(
      v.object({
        seconds: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
        atUs: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
      }),
    ),
    null,
  ),
});
export type ClockReading = v.InferOutput<typeof ClockReading>;

export interface Clocks extends Pick<KernelControl, 'clock' | 'counter'> {
  /** What the battery clock says, in seconds; null if there is none. Asking can take milliseconds. */
  battery(): number | null;
}

/** The clocks of a host. @param sys where sysfs is mounted */
export function clocksOf(kernel: Pick<KernelControl, 'clock' | 'counter'>, sys: string): Clocks {
  return {
    clock: (which) => kernel.clock(which),
    counter: () => kernel.counter(),
    battery: () => {
      // A read of the file asks the device, which may refuse.
      const read = (): string => {
        try {
          return readBounded(join(sys, 'class/rtc/rtc0/since_epoch'), 32)?.text ?? '';
        } catch {
          return '';
        }
      };
      const seconds = /^\d{1,12}$/m.exec(read())?.[0];
      return seconds === undefined ? null : Number(seconds);
    },
  };
}

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
  #battery: ClockReading['battery'] = null;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
    this.#counter = clocks.counter();
    this.#boottime = clocks.clock('boottime');
  }

  /** Asks the battery clock, which takes its time: while no guest is stopped. */
  readBattery(): void {
    const seconds = this.#clocks.battery();
    this.#battery = seconds === null ? null : { seconds, atUs: realtimeUs(this.#clocks) };
  }

  /** What to leave to the next kernel; null without a counter, or before its rate is known. */
  read(): ClockReading | null {
    const counter = this.#clocks.counter();
    const passed = this.#clocks.clock('boottime') - this.#boottime;
    if (counter === null || this.#counter === null || passed < leastNs || counter <= this.#counter)
      return null;
    const perSecond = (Number(counter - this.#counter) / Number(passed)) * 1e9;
    return { counter: counter.toString(), perSecond, atUs: realtimeUs(this.#clocks), battery: this.#battery };
  }
}

/** Time in µs on the clock of the kernel before. */
export class SurvivingClock {
  readonly #clocks: Clocks;
  readonly #reading: ClockReading | null;
  /** Where the counter is not used: what this kernel's clock of time since boot is behind, in µs. */
  readonly #sinceBootUs: number;
  /** Whether the counter is used; otherwise the time is good to about a second. */
  readonly exact: boolean;

  constructor(clocks: Clocks, reading: ClockReading | null) {
    this.#clocks = clocks;
    this.#reading = reading;
    const byBattery = this.#byBattery();
    const counted = this.#counted();
    this.exact = counted !== null && Math.abs(counted - byBattery) <= mostUs;
    this.#sinceBootUs = byBattery - this.#bootUs();
  }

  nowUs(): number {
    return (this.exact ? this.#counted() : null) ?? this.#sinceBootUs + this.#bootUs();
  }

  /** When this kernel's clocks began. */
  startedAtUs(): number {
    return this.nowUs() - this.#bootUs();
  }

  #bootUs(): number {
    return Number(this.#clocks.clock('boottime') / 1000n);
  }

  /** By what has passed on the battery clock; without it by the time of day, which this kernel has from there. */
  #byBattery(): number {
    const before = this.#reading?.battery ?? null;
    const seconds = before && this.#clocks.battery();
    if (before === null || seconds === null) return realtimeUs(this.#clocks);
    return before.atUs + (seconds - before.seconds) * 1_000_000;
  }

  #counted(): number | null {
    const counter = this.#clocks.counter();
    if (this.#reading === null || counter === null) return null;
    const ticks = Number(counter - BigInt(this.#reading.counter));
    return ticks < 0 ? null : this.#reading.atUs + Math.round((ticks / this.#reading.perSecond) * 1e6);
  }
}
