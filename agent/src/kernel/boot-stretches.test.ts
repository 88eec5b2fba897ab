// SPDX-License-Identifier: Apache-2.0
/** The kernel's boot taken apart, from a recorded log and from made-up ones. */
import * as fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { BootStretch } from '../interface/agent.generated.ts';
import { recordedBoot } from './boot-log.fixture.ts';
import { bootStretches, type TimedRecord } from './boot-stretches.ts';

const whole = (stretches: readonly BootStretch[] | null): number =>
  (stretches ?? []).reduce((sum, { durationUs }) => sum + durationUs, 0);

describe('a recorded boot', () => {
  it('has preserved memory, the longest other stretches in the order of time, and the rest', () => {
    expect(told(bootStretches(recordedBoot))).toEqual([
      ['finding preserved memory, giving out the rest', 26_611, 10_901],
      ['until "rcu: srcu_init: Setting srcu_struct sizes based on contention."', 43_445, 18_223],
      ['setting up the first processor', 124_841, 252_073],
      ['starting the other processors', 379_662, 150_668],
      ['initialising subsystems and drivers', 543_650, 165_404],
      ['mounting the root file system', 709_054, 57_570],
      ['ending the initialisations, freeing their memory', 768_501, 29_083],
      ['the rest', null, 115_930],
    ]);
  });

  it('is told whole: the stretches and the rest are the time until the first process', () => {
    expect(whole(bootStretches(recordedBoot))).toBe(799_852);
  });
});

const boot = (...lines: readonly (readonly [us: number, text: string])[]): TimedRecord[] => [
  { atUs: 0, text: 'Linux version 7.3.4-b' },
  ...lines.map(([atUs, text]) => ({ atUs, text })),
  { atUs: 1_000_000, text: 'Run /sbin/init as init process' },
];

const told = (stretches: readonly BootStretch[] | null): (string | number | null)[][] =>
  (stretches ?? []).map(({ what, startedAtUs, durationUs }) => [what, startedAtUs, durationUs]);

describe('the stretches of a boot', () => {
  it('name memory also where it took next to nothing, and preserved memory only where some came', () => {
    const found = boot([10, 'mem auto-init: x'], [12, 'SLUB: y'], [999_999, 'z']);
    expect(told(bootStretches(found))).toContainEqual(['giving out memory', 10, 2]);
    const [version, ...others] = found;
    if (!version) throw new Error('there is a first record');
    const handed = [version, { atUs: 0, text: 'KHO: found kexec handover data.' }, ...others];
    expect(told(bootStretches(handed))).toContainEqual([
      'finding preserved memory, giving out the rest',
      ...[10, 2],
    ]);
  });

  it('name an initialisation where the kernel says when it began, with all that it logs', () => {
    const stretches = bootStretches(
      boot(
        [100_000, 'calling  pci_init+0x0/0x60 @ 1'],
        [120_000, 'pci 0000:00:01.0: found'],
        [150_000, 'initcall pci_init+0x0/0x60 returned 0 after 50000 usecs'],
        [999_000, 'late'],
      ),
    );
    expect(told(stretches)).toEqual([
      ['until "calling  pci_init+0x0/0x60 @ 1"', 0, 100_000],
      ['initialisation pci_init', 100_000, 50_000],
      ['until "late"', 150_000, 849_000],
      ['the rest', null, 1000],
    ]);
  });

  it('give no time to a record of a processor whose clock is behind', () => {
    const stretches = bootStretches(boot([400_000, 'one'], [30_000, 'behind'], [410_000, 'two']));
    expect(told(stretches).slice(0, 2)).toEqual([
      ['until "one"', 0, 400_000],
      ['until "two"', 400_000, 10_000],
    ]);
    expect(whole(stretches)).toBe(1_000_000);
  });

  it('are nothing where the log has lost its beginning, or no process was started', () => {
    expect(bootStretches(recordedBoot.slice(1))).toBeNull();
    expect(bootStretches(boot().slice(0, -1))).toBeNull();
    expect(bootStretches([])).toBeNull();
  });

  it('are few, never over each other, and always the whole, whatever the log says', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.constantFrom(
        ...['mem auto-init: x', 'Zone ranges:', 'setup_percpu: y', 'smp: Bringing up secondary CPUs ...'],
        ...[
          'smp: Brought up 1 node',
          'calling  a+0x0/0x1 @ 1',
          'initcall a+0x0/0x1 returned 0 after 1 usecs',
        ],
        ...['console [ttyS0] enabled', 'KHO: found kexec handover data.'],
      ),
    );
    const line = fc.record({ atUs: fc.nat({ max: 2_000_000 }), text });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 60 }), (lines) => {
        const [first, ...others] = boot();
        const records = [...(first ? [first] : []), ...lines, ...others];
        const until = records.findIndex((record) => /^Run \S+ as init process/.test(record.text));
        const stretches = bootStretches(records) ?? [];
        expect(whole(stretches)).toBe(Math.max(...records.slice(0, until + 1).map(({ atUs }) => atUs)));
        expect(v.parse(v.array(BootStretch), JSON.parse(JSON.stringify(stretches)))).toEqual(stretches);
        let endUs = 0;
        for (const { what, startedAtUs, durationUs } of stretches.slice(0, -1)) {
          expect(startedAtUs).toBeGreaterThanOrEqual(endUs);
          expect(what.length).toBeLessThanOrEqual(100);
          endUs = (startedAtUs ?? 0) + durationUs;
        }
        expect(stretches.at(-1)).toMatchObject({ what: 'the rest', startedAtUs: null });
        expect(stretches.at(-1)?.durationUs).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 200 },
    );
  });
});
