// SPDX-License-Identifier: Apache-2.0
/** What the kernels' logs tell of a kexec, and the report of memory's size, from made-up measurements. */
import type { MachineRun, Update } from '@luo-console/agent/interface';
import { describe, expect, it } from 'vitest';
import { kernelTimes } from './kernel-times.ts';
import { type MemoryLoad, type MemoryUpdate, targetLoads } from './memory.ts';
import { memoryReport, memoryTable } from './memory-report.ts';
import { blackoutParts, type PartTimes } from './parts.ts';

const machine = {
  suspendedAtUs: 1_000_500_000,
  parts: [
    { part: 'save', startedAtUs: 0, durationUs: 50_000 },
    { part: 'kexec', startedAtUs: 50_000, durationUs: 700_000 },
  ],
} as Partial<MachineRun>;
const bootStretches = [
  { what: 'giving out memory', startedAtUs: 10_000, durationUs: 300_000 },
  { what: 'the rest', startedAtUs: null, durationUs: 80_000 },
];
const update = { id: 'u-1', machines: [machine], bootStretches } as unknown as Update;

/** When the log had its mark, on the host's clock. */
const markedAtUs = 999_000_000;

const log = [
  '[   99.000000] bench: clock\r',
  '[  100.000000] luo-console: update u-1 announced, kexec into 7.3.4-b\r',
  '[  100.850000] kexec_core: Starting new kernel\r',
  '[    0.000000] Linux version 7.3.4-b (luo-console@lab)\r',
  '[    0.010000] KHO: found kexec handover data.\r',
  '[    0.110000] kexec_core: Starting new kernel\r',
].join('\n');

describe('the kernels’ own logs', () => {
  it('divide the kexec part, and the record says what took long in the next kernel', () => {
    expect(kernelTimes(log, update, 700, markedAtUs)).toEqual({
      ...{ oldMs: 300, newMs: 400 },
      stretches: bootStretches,
    });
  });

  it('tell nothing that cannot be: the parts are null then', () => {
    const nothing = { oldMs: null, newMs: null };
    const times = (said: string, kexecMs: number) => kernelTimes(said, update, kexecMs, markedAtUs);
    expect(times(log, 200)).toMatchObject(nothing);
    expect(times(log.replace('bench: clock', 'x'), 700)).toMatchObject(nothing);
    expect(times(log.replace('Starting new kernel', 'x'), 700)).toMatchObject(nothing);
    const untold = { ...update, bootStretches: null };
    expect(kernelTimes('', untold, 700, markedAtUs)).toEqual({ ...nothing, stretches: [] });
  });
});

const measured = (kexec: number): MemoryUpdate => ({
  times: Object.fromEntries(blackoutParts.map((part) => [part, part === 'kexec' ? kexec : 100])) as PartTimes,
  kernel: {
    oldMs: kexec / 2,
    newMs: kexec / 2,
    stretches: [{ what: 'giving out memory', startedAtUs: 0, durationUs: 50_000 }],
  },
});

describe('the report of memory', () => {
  const [small, large] = targetLoads;
  if (!small || !large) throw new Error('there are loads');
  const inSmallPages: MemoryLoad = { ...small, pages: 'small' };
  const report = (kexec: number) =>
    memoryReport({
      ...{ kernels: ['a', 'b'], runs: 1 },
      updates: new Map([
        [small, [measured(300)]],
        [large, [measured(kexec)]],
        [inSmallPages, [measured(500)]],
        [{ ...large, pages: 'small' }, [measured(1700)]],
      ]),
    });

  it('compares each load with 64 MiB in the same pages, and has a target for huge ones', () => {
    expect(report(400).figures).toEqual([
      {
        ...{ name: 'blackout 1 × 4 GiB, huge pages, by 64 MiB', unit: 'ratio' },
        ...{ value: 1.1, target: 1.15, met: true },
      },
      {
        ...{ name: 'blackout 1 × 4 GiB, small pages, by 64 MiB', unit: 'ratio' },
        ...{ value: 2, target: null, met: null },
      },
    ]);
  });

  it('says which kernel took the time, and what misses its target', () => {
    const text = memoryTable(report(600));
    expect(text).toMatch(/^1 × 4 GiB, huge pages .* 1300 +300 +300 +1\.30 +misses 1\.15$/m);
    expect(text).toContain(
      '1 × 64 MiB, huge pages: in the boot of the next kernel\n  50.0 ms giving out memory',
    );
  });
});
