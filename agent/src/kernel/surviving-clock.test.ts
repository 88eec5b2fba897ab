// SPDX-License-Identifier: Apache-2.0
/** The clock that goes on through a kexec, and what it can measure. */
import { describe, expect, it } from 'vitest';
import { CounterRate, SurvivingClock } from './surviving-clock.ts';

const perSecond = 2_500_000_000n;
const second = 1_000_000_000n;

/** A machine whose counter, clocks and battery clock are set by hand; times in ns. */
function machine(start: { counter: bigint | null; boottime: bigint; realtime: bigint; battery?: bigint }) {
  const now = { battery: null, ...start };
  return {
    now,
    pass: (ns: bigint): void => {
      if (now.counter !== null) now.counter += (ns * perSecond) / second;
      now.boottime += ns;
      now.realtime += ns;
      if (now.battery !== null) now.battery += ns;
    },
    clocks: {
      clock: (which: 'realtime' | 'boottime' | 'monotonic') =>
        which === 'realtime' ? now.realtime : now.boottime,
      counter: () => now.counter,
      battery: () => (now.battery === null ? null : Number(now.battery / second)),
    },
  };
}

const before = () =>
  machine({ counter: 7_000_000n, boottime: 100n * second, realtime: 1_700_000_000n * second });

describe('the clock that survives', () => {
  it('goes on exactly, though the battery clock lost most of a second', () => {
    const host = before();
    const rate = new CounterRate(host.clocks);
    host.pass(10n * second);
    const reading = rate.read();
    expect(reading?.perSecond).toBeCloseTo(Number(perSecond), -3);
    host.pass(4n * second);
    const truth = Number(host.now.realtime / 1000n);
    // The next kernel: its clock begins anew, and the battery clock has whole seconds only.
    host.now.boottime = 1_500_000_000n;
    host.now.realtime -= 900_000_000n;
    const clock = new SurvivingClock(host.clocks, reading);
    expect(clock.exact).toBe(true);
    expect(Math.abs(clock.nowUs() - truth)).toBeLessThan(50);
    expect(Math.abs(clock.startedAtUs() - (truth - 1_500_000))).toBeLessThan(50);
  });

  it.each([
    ['was reset', (now: { counter: bigint | null }) => (now.counter = 5n)],
    [
      'stood still for long',
      (now: { counter: bigint | null }) => (now.counter = (now.counter ?? 0n) - 10n * perSecond),
    ],
    ['is not there', (now: { counter: bigint | null }) => (now.counter = null)],
  ])('falls back on the real-time clock where the counter %s', (_what, spoil) => {
    const host = before();
    const rate = new CounterRate(host.clocks);
    host.pass(20n * second);
    const reading = rate.read();
    host.pass(second);
    spoil(host.now);
    const clock = new SurvivingClock(host.clocks, reading);
    expect(clock.exact).toBe(false);
    expect(clock.nowUs()).toBe(Number(host.now.realtime / 1000n));
  });

  /** Leaves a reading in one kernel, and reads the clock in the next one, whose time of day is the battery clock's. */
  function across(spoil: (host: ReturnType<typeof machine>) => void): {
    clock: SurvivingClock;
    offUs: number;
  } {
    // The battery clock is a day behind, and the time of day was set right from elsewhere.
    const host = machine({
      counter: 7_000_000n,
      ...{ boottime: 100n * second, realtime: 1_700_000_000n * second, battery: 1_699_913_600n * second },
    });
    const rate = new CounterRate(host.clocks);
    host.pass(10n * second);
    rate.readBattery();
    host.pass(20n * second);
    spoil(host);
    const reading = rate.read();
    host.pass(4n * second);
    const truth = Number(host.now.realtime / 1000n);
    host.now.boottime = 1_500_000_000n;
    host.now.realtime = host.now.battery ?? 0n;
    const clock = new SurvivingClock(host.clocks, reading);
    return { clock, offUs: Math.abs(clock.nowUs() - truth) };
  }

  it('goes on exactly, though the battery clock is wrong by a day', () => {
    const { clock, offUs } = across(() => {});
    expect(clock.exact).toBe(true);
    expect(offUs).toBeLessThan(50);
  });

  it('counts the seconds of the battery clock where the kernel took its counter for faster than it is', () => {
    // Its clocks ran ahead , or behind as here.
    const { clock, offUs } = across(({ now }) => {
      now.boottime -= 20n * second;
    });
    expect(clock.exact).toBe(false);
    expect(offUs).toBeLessThan(1_000_000);
    const before = clock.nowUs();
    expect(clock.startedAtUs()).toBe(before - 1_500_000);
  });

  it('has no reading to leave before its rate is known', () => {
    const host = before();
    const rate = new CounterRate(host.clocks);
    host.pass(1_000_000n);
    expect(rate.read()).toBeNull();
    expect(new CounterRate(machine({ counter: null, boottime: 1n, realtime: 1n }).clocks).read()).toBeNull();
  });
});
