// SPDX-License-Identifier: Apache-2.0
/** The report of the blackout benchmark, from made-up measurements. */
import { readFileSync } from 'node:fs';
import type { MachineRun, Update } from '@luo-console/agent/interface';
import { describe, expect, it } from 'vitest';
import { timesOfUpdate } from './agent.ts';
import { readFloor } from './floor.ts';
import { commandLineOf } from './guests.ts';
import { together } from './measure.ts';
import { allLoads, blackoutParts, type PartEnds, type PartTimes, timesOf } from './parts.ts';
import { blackoutReport, blackoutTable } from './report.ts';

/** Parts that end at these times, in milliseconds. */
function ends(...ms: readonly number[]): PartEnds {
  return Object.fromEntries(blackoutParts.map((part, index) => [part, (ms[index] ?? 0) * 1000])) as PartEnds &
    object;
}
function times(...ms: readonly number[]): PartTimes {
  return Object.fromEntries(blackoutParts.map((part, index) => [part, ms[index] ?? 0])) as PartTimes & object;
}

const one = ends(30, 530, 1700, 1702, 1750, 2300, 2350, 2355);
const other = ends(20, 530, 1700, 1702, 1750, 2500, 2540, 2550);

describe('parts of a blackout', () => {
  it('are said by the floor, too, by the same names and in the same order', () => {
    const source = readFileSync(new URL('../native/floor.c', import.meta.url), 'utf8');
    const ends = /\\"ends\\":\{(.+?)\}/s.exec(source)?.[1] ?? '';
    expect([...ends.matchAll(/\\"(\w+)\\":%llu/g)].map(([, name]) => name)).toEqual([...blackoutParts]);
  });

  it('are over when they are for the last machine, and add up to the whole', () => {
    const host = timesOf([one, other]);
    expect(host).toEqual(times(30, 500, 1170, 2, 48, 750, 40, 10));
    const sum = blackoutParts.reduce((total, part) => total + host[part], 0);
    expect(sum).toBe(2550);
  });

  it('never take less than no time, in whatever order machines finish theirs', () => {
    const early = ends(30, 530, 1700, 1702, 1750, 1900, 2600, 2610);
    const late = ends(30, 530, 1700, 1702, 1750, 2650, 2660, 2670);
    expect(timesOf([early, late])).toEqual(times(30, 500, 1170, 2, 48, 900, 10, 10));
  });
});

it('puts the rounds together by load', () => {
  const [load, four] = allLoads;
  if (!load || !four) throw new Error('there are loads');
  const [first, second] = [timesOf([one]), timesOf([other])];
  const all = together([
    new Map([
      [load, [first]],
      [four, [second]],
    ]),
    new Map([[load, [second]]]),
  ]);
  expect(all).toEqual(
    new Map([
      [load, [first, second]],
      [four, [second]],
    ]),
  );
});

/** A line as the kernel prints it when the floor says something. */
function said(step: number, guest: number, guests: number, memoryMiB: number, of: PartEnds): string {
  return `[    1.959009] floor: run ${JSON.stringify({ step, guest, guests, memoryMiB, ends: of })}\r\n`;
}

describe('what the floor says', () => {
  const [single, four] = allLoads;
  if (!single || !four) throw new Error('there are loads');
  const two = { guests: 2, memoryMiB: 64 };

  it('is read between the lines of the kernel, update by update', () => {
    const log = [
      '[    1.2] Run /var/lib/bench/floor as init process\r\n',
      said(1, 0, 1, 64, one),
      said(2, 0, 1, 64, other),
      '[    0.000000] Linux version\r\n',
      said(3, 1, 2, 64, other),
      said(3, 0, 2, 64, one),
      said(4, 0, 2, 64, one),
      said(4, 1, 2, 64, one),
      'floor: end',
    ].join('');
    const measured = readFloor(log, [single, two], 2);
    expect(measured.get(single)).toEqual([timesOf([one]), timesOf([other])]);
    expect(measured.get(two)).toEqual([timesOf([one, other]), timesOf([one])]);
  });

  it('is refused if a machine or a part is missing, or it is of another load', () => {
    expect(() => readFloor(said(1, 0, 2, 64, one), [two], 1)).toThrow(
      'floor, update 1: 1 machines, expected 2 of 64 MiB',
    );
    expect(() => readFloor(said(1, 0, 1, 512, one), [single], 1)).toThrow('expected 1 of 64 MiB');
    const { resume: _, ...short } = one;
    expect(() => readFloor(said(1, 0, 1, 64, short as PartEnds), [single], 1)).toThrow(
      'the end of every part',
    );
  });
});

describe("the agent's record", () => {
  const run = (name: string, of: PartEnds, stage: MachineRun['stage'] = 'resumed'): MachineRun => ({
    ...{ name, pid: 7, newPid: 8, way: 'cpr', session: name, stage, detail: 'why' },
    ...{
      brownoutUs: 1,
      suspendedAtUs: 1,
      blackoutUs: 1,
      waits: [],
      failedAt: null,
      instructions: null,
      stateBytes: null,
    },
    parts: blackoutParts.map((part, index) => {
      const before = index === 0 ? 0 : of[blackoutParts[index - 1] ?? 'save'];
      return { part, startedAtUs: before, durationUs: of[part] - before };
    }),
  });
  const update = (machines: readonly MachineRun[], outcome: Update['outcome'] = 'updated'): Update =>
    ({ id: 'u1', outcome, reason: 'because', machines }) as Partial<Update> as Update;

  it('gives the same figures as the floor would', () => {
    expect(timesOfUpdate(update([run('a', one), run('b', other)]), 2)).toEqual(timesOf([one, other]));
  });

  it('is no figure if something went wrong', () => {
    expect(() => timesOfUpdate(update([run('a', one)], 'returned'), 1)).toThrow(
      'update u1: returned, because',
    );
    expect(() => timesOfUpdate(update([run('a', one)]), 2)).toThrow('1 machines, expected 2');
    expect(() => timesOfUpdate(update([run('a', one, 'held')]), 1)).toThrow('not resumed but held: why');
    const { parts, ...rest } = run('a', one);
    const short = { ...rest, parts: parts.slice(1) };
    expect(() => timesOfUpdate(update([short]), 1)).toThrow('reports no part save');
  });
});

describe('the report', () => {
  const [load] = allLoads;
  if (!load) throw new Error('there are loads');
  const floor = new Map([[load, [times(30, 500, 1200, 2, 50, 500, 50, 4)]]]);
  const agent = new Map([
    [
      load,
      [
        times(33, 600, 1500, 8000, 50, 2000, 50, 4),
        times(90, 600, 1500, 8000, 50, 1000, 50, 4),
        times(34, 600, 1500, 8000, 50, 600, 50, 4),
      ],
    ],
  ]);
  const report = blackoutReport({ kernels: ['7.3.4-a', '7.3.4-b'], runs: 3, agent, floor });

  it('has medians and ratios in the shape that was promised', () => {
    expect(Object.keys(report)).toEqual(['kernel', 'runs', 'parts', 'figures']);
    expect(report).toMatchObject({ kernel: '7.3.4-a and 7.3.4-b', runs: 3 });
    expect(report.parts.map(({ part }) => part)).toEqual(blackoutParts);
    expect(report.parts[0]).toEqual({
      ...{ part: 'save', guests: 1, memoryMiB: 64, agentMs: 34, floorMs: 30, ratio: 1.13, note: null },
    });
    expect(report.parts[3]).toMatchObject({ part: 'userspace', agentMs: 8000, ratio: null });
    expect(report.parts[3]?.note).not.toBeNull();
  });

  it('marks what misses the target, but not what is the kernel’s', () => {
    const notes = new Map(report.parts.map(({ part, note }) => [part, note]));
    expect(notes.get('start')).toBe('misses 1.15');
    expect(notes.get('kexec')).toContain('no target');
    expect(notes.get('load')).toBeNull();
  });

  it('has a figure with a target for what is ours, and for the whole', () => {
    const named = new Map(report.figures.map(({ name, ...rest }) => [name, rest]));
    expect(named.get('blackout save, 1 × 64 MiB')).toEqual({
      unit: 'ratio',
      value: 1.13,
      target: 1.15,
      met: true,
    });
    expect(named.get('blackout kexec, 1 × 64 MiB')).toMatchObject({ target: null, met: null });
    expect(named.get('blackout userspace beyond the floor, 1 × 64 MiB')).toEqual({
      ...{ unit: 'ms', value: 7998, target: 30, met: false },
    });
    expect(named.get('blackout whole, 1 × 64 MiB')).toEqual({
      unit: 'ratio',
      value: 4.81,
      target: 1.1,
      met: false,
    });
    const without = blackoutReport({ kernels: ['x'], runs: 1, agent: new Map(), floor });
    expect(without.figures.every(({ value, met }) => value === null && met === null)).toBe(true);
  });

  it('says what was not measured', () => {
    const without = blackoutReport({ kernels: ['x'], runs: 1, agent: new Map(), floor });
    expect(without.parts[0]).toMatchObject({ agentMs: null, floorMs: 30, ratio: null });
    expect(without.parts[0]?.note).toContain('not measured');
  });

  it('ends each section of the table with the whole blackout', () => {
    const lines = blackoutTable(report).split('\n');
    expect(lines[0]).toBe('Linux 7.3.4-a and 7.3.4-b, medians of 3 updates');
    expect(lines.at(-1)?.split(/ +/)).toEqual(['all', '1', '64', '11238', '2336', '4.81']);
  });
});

describe("a machine's command line", () => {
  it('is its own, and leaves no mark in place', () => {
    const words = commandLineOf(3, 512);
    expect(words).toContain('memory-backend-memfd,id=mem,size=512M,share=on');
    expect(words).toContain('bench-3');
    expect(words.join(' ')).not.toContain('@');
  });
});
