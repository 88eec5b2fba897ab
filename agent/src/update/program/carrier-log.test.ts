// SPDX-License-Identifier: Apache-2.0
/** What is taken from the carrier's log, whatever is in it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readLog } from './carrier-log.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-carrier-log-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const nowNs = 9_000_000n;
const line = (ns: unknown, machine: unknown, event: unknown, text: unknown = ''): string =>
  `${JSON.stringify({ ns, machine, event, text })}\n`;
const logOf = (...lines: readonly string[]) => {
  writeFileSync(join(directory, 'log'), lines.join(''));
  return readLog(directory, nowNs);
};

describe('the log of the carrier', () => {
  it('tells when the host and each machine came to each point, and why a machine failed', () => {
    const log = logOf(
      line(1000, null, 'born'),
      line(2000, null, 'retrieved'),
      line(3000, 0, 'starting'),
      line(3100, 1, 'starting'),
      line(4000, 0, 'loading'),
      line(4100, 0, 'play'),
      line(5000, 0, 'loaded'),
      line(5500, 1, 'failed', 'start: /usr/bin/qemu: no such file'),
      line(6000, 0, 'running'),
      line(7000, null, 'done'),
    );
    expect(log).toMatchObject({ bornNs: 1000, retrievedNs: 2000, failed: null });
    expect([...log.machines]).toEqual([
      [
        0,
        {
          reached: new Map([
            ['starting', 3000],
            ['loading', 4000],
            ['loaded', 5000],
            ['running', 6000],
          ]),
          failed: null,
          waits: null,
        },
      ],
      [
        1,
        { reached: new Map([['starting', 3100]]), failed: 'start: /usr/bin/qemu: no such file', waits: null },
      ],
    ]);
  });

  it('tells what a machine waits for until something else happens to it', () => {
    const waiting = [
      line(1, 0, 'waits', 'a\nb\u0000c'),
      line(2, 1, 'waits', 'its monitor'),
      line(3, 1, 'monitor'),
    ];
    const { machines } = logOf(...waiting);
    expect([...machines.values()].map(({ waits }) => waits)).toEqual(['a b c', null]);
  });

  it('that is missing tells nothing', () => {
    expect(readLog(directory, nowNs)).toMatchObject({ bornNs: null, retrievedNs: null, machines: new Map() });
  });

  it.each([
    ['no JSON', '{"ns":1,"machine":0\n'],
    ['no object', '7\n[]\nnull\n'],
    ['a time that is no whole number', line(1.5, 0, 'starting') + line('1', 0, 'starting')],
    ['a time before the start', line(-1, 0, 'starting')],
    ['a time out of range', line(2 ** 53, 0, 'starting') + '{"ns":1e999,"machine":0,"event":"starting"}\n'],
    ['a time that has not come', line(9_000_001, 0, 'starting')],
    [
      'no machine of a program',
      line(1, 256, 'starting') + line(1, -1, 'starting') + line(1, '0', 'starting'),
    ],
    ['no text', line(1, 0, 'starting', 7) + line(1, 0, ['starting'])],
    ['a line that is too long', line(1, 0, 'starting', 'x'.repeat(20_000))],
  ])('is read past %s', (_what, bad) => {
    const { machines } = logOf(bad, line(8, 1, 'starting'));
    expect([...machines.keys()]).toEqual([1]);
  });

  it('that is torn has everything up to its last whole line', () => {
    const torn = line(2, 0, 'loading').slice(0, -1);
    expect(logOf(line(1, 0, 'starting'), torn).machines.get(0)?.reached).toEqual(new Map([['starting', 1]]));
  });

  it('that repeats a point keeps the first time, and only the first reason', () => {
    const twice = [
      line(1, 0, 'starting'),
      line(2, 0, 'starting'),
      line(3, 0, 'failed', 'a'),
      line(4, 0, 'failed', 'b'),
    ];
    expect(logOf(...twice).machines.get(0)).toMatchObject({
      reached: new Map([['starting', 1]]),
      failed: 'a',
    });
  });

  it('of any length is read in bounds', () => {
    const filler = `${JSON.stringify({ ns: 1, machine: 0, event: 'tell', text: 'x'.repeat(16_000) })}\n`;
    const many = filler.repeat(Math.ceil((16 * 1024 * 1024) / filler.length));
    const { machines } = logOf(line(1, 1, 'starting'), many, line(2, 1, 'running'));
    expect(machines.get(1)?.reached).toEqual(new Map([['starting', 1]]));
    const short = logOf(line(1, 1, 'starting'), '\n'.repeat(200_000), line(2, 1, 'running'));
    expect(short.machines.get(1)?.reached).toEqual(new Map([['starting', 1]]));
  });

  it('has texts that are short enough to be shown', () => {
    expect(logOf(line(1, 0, 'failed', 'x'.repeat(10_000))).machines.get(0)?.failed).toHaveLength(300);
  });
});
