// SPDX-License-Identifier: Apache-2.0
/** The arithmetic of the idle benchmark, from made-up measurements. */
import { describe, expect, it } from 'vitest';
import { idleReport, idleTable } from './report.ts';
import { readResident, readSleeps, wakeUps } from './threads.ts';

const status = `Name:\tluo-console-age
VmHWM:\t  131520 kB
VmRSS:\t   40960 kB
RssAnon:\t   20480 kB
RssFile:\t   19456 kB
RssShmem:\t    1024 kB
Threads:\t12
`;

const measured = {
  kernel: '7.3.4-a',
  resident: { allKiB: 40_960, ownKiB: 20_480, filesKiB: 19_456, sharedKiB: 1024 },
};

describe('what the kernel says of a process', () => {
  it('has its memory by kind', () => {
    expect(readResident(status)).toEqual(measured.resident);
    expect(() => readResident('Name:\tx\n')).toThrow('no VmRSS');
  });

  it('has how often each thread slept', () => {
    expect(readSleeps('81 107\n103 1\n')).toEqual(
      new Map([
        [81, 107],
        [103, 1],
      ]),
    );
    expect(() => readSleeps('')).toThrow('line ""');
    expect(() => readSleeps('81 \n')).toThrow('expected the number of a thread');
  });
});

describe('wake-ups', () => {
  const before = readSleeps('81 100\n82 7');

  it('are those of all threads, also of one that came meanwhile', () => {
    expect(wakeUps(before, readSleeps('81 104\n82 7\n90 2'))).toBe(6);
  });

  it('are not known if a thread has ended', () => {
    expect(() => wakeUps(before, readSleeps('81 104'))).toThrow('thread 82 has ended');
  });
});

describe('the report', () => {
  it('has figures with their targets', () => {
    expect(idleReport({ ...measured, wakeUps: 4, signs: 4 }).figures).toEqual([
      { name: 'idle agent, resident', value: 40, unit: 'MiB', target: 70, met: true },
      { name: 'idle agent, resident, its own memory', value: 21, unit: 'MiB', target: null, met: null },
      { name: 'idle agent, resident, mapped of files', value: 19, unit: 'MiB', target: null, met: null },
      { name: 'idle agent, wake-ups a minute', value: 4, unit: 'times', target: 4, met: true },
    ]);
  });

  it('says what misses its target', () => {
    const resident = { ...measured.resident, allKiB: 70 * 1024 + 103 };
    const report = idleReport({ ...measured, resident, wakeUps: 13, signs: 4 });
    expect(report.figures.map(({ value, met }) => [value, met])).toEqual([
      [70.1, false],
      [21, null],
      [19, null],
      [13, false],
    ]);
    expect(idleTable(report).match(/missed/g)).toHaveLength(2);
    expect(idleTable(report)).toContain('during 4 signs of life');
  });
});
