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
    expect([...log.machines.keys()]).toEqual([0, 1]);
    expect(log.machines.get(0)).toMatchObject({
      reached: new Map([
        ['starting', 3000],
        ['loading', 4000],
        ['loaded', 5000],
        ['running', 6000],
      ]),
      ...{ failed: null, failedAt: null, waits: null, waited: [] },
    });
    expect(log.machines.get(1)).toMatchObject({
      reached: new Map([['starting', 3100]]),
      ...{ failed: 'start: /usr/bin/qemu: no such file', failedAt: null, waits: null },
    });
  });

  it('tells what had gone wrong before a machine failed', () => {
    const problem = line(1, 0, 'problem', 'module /lib/kvm.ko: Exec format error');
    expect(logOf(problem).machines.get(0)?.failed).toBeNull();
    expect(logOf(problem, line(2, 0, 'failed', 'it still waited')).machines.get(0)?.failed).toBe(
      'it still waited; module /lib/kvm.ko: Exec format error',
    );
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

  it('tells each wait from its beginning to whatever comes next, and how long is unknown if nothing does', () => {
    const { machines } = logOf(
      line(10, 0, 'waits', 'for /srv/data to be mounted'),
      line(12, 1, 'waits', 'for its VMM to listen on /run/luo/1'),
      line(900, 0, 'mounted', '/srv/data'),
      line(950, 0, 'starting'),
      line(960, 0, 'waits', 'for its VMM to listen on /run/luo/0'),
      line(970, 1, 'failed', 'the VMM ended'),
      line(990, null, 'problem', 'another one'),
    );
    expect(machines.get(0)?.waited).toEqual([
      { what: '/srv/data to be mounted', fromNs: 10, untilNs: 900 },
      { what: 'its VMM to listen on /run/luo/0', fromNs: 960, untilNs: null },
    ]);
    expect(machines.get(1)?.waited).toEqual([
      { what: 'its VMM to listen on /run/luo/1', fromNs: 12, untilNs: 970 },
    ]);
  });

  it('has a machine run since QEMU agreed to it, but only once its status has said so', () => {
    const told = [line(5, 0, 'loaded'), line(7, 0, 'told')];
    expect([...(logOf(...told).machines.get(0)?.reached ?? [])]).toEqual([['loaded', 5]]);
    const { machines } = logOf(...told, line(9, 0, 'running'));
    expect([...(machines.get(0)?.reached ?? [])]).toEqual([
      ['loaded', 5],
      ['running', 7],
    ]);
  });

  it('tells when each instruction was done; the same one several times in a row counts as one', () => {
    const { machines } = logOf(
      line(1, 0, 'mounted', '/srv'),
      line(2, 0, 'attach'),
      line(3, 0, 'attach'),
      line(4, 0, 'play'),
      line(5, 0, 'attach'),
      line(6, 0, 'no such instruction', 'x'),
      line(7, 0, 'toString', 'x'),
      line(8, 0, 'constructor', 'x'),
    );
    expect(machines.get(0)?.done).toEqual([
      { what: 'mounted /srv', times: 1, doneNs: 1 },
      { what: 'attach', times: 2, doneNs: 3 },
      { what: 'play', times: 1, doneNs: 4 },
      { what: 'attach', times: 1, doneNs: 5 },
    ]);
  });

  it.each([
    ['says so', [line(3, 0, 'at', 'connect /run/luo/main')], 'connect /run/luo/main'],
    ['says only what was done before, as after a crash', [], 'after start /usr/bin/qemu'],
  ])('tells the instruction at which a machine failed: it %s', (_what, lines, failedAt) => {
    const done = line(2, 0, 'start', '/usr/bin/qemu');
    const log = logOf(done, ...lines, line(4, 0, 'failed', 'the VMM ended'));
    expect(log.machines.get(0)).toMatchObject({ failed: 'the VMM ended', failedAt });
    expect(logOf(done, ...lines).machines.get(0)?.failedAt).toBeNull();
  });

  it('has a bounded number of waits and instructions', () => {
    const many = Array.from({ length: 1000 }, (_, at) =>
      [line(2 * at, 0, 'waits', `for ${at}`), line(2 * at + 1, 0, 'present', `/${at}`)].join(''),
    );
    const machine = logOf(...many).machines.get(0);
    expect([machine?.waited.length, machine?.done.length]).toEqual([64, 100]);
  });

  it('has texts as they were before the carrier wrote each byte as a character, and none that steers a terminal', () => {
    const bytes = Buffer.from('for /srv/größe\u202e to be mounted').toString('latin1');
    const { machines } = logOf(line(1, 0, 'waits', bytes), line(2, 0, 'mounted'));
    expect(machines.get(0)?.waited[0]?.what).toBe('/srv/größe\ufffd to be mounted');
  });

  it('that goes back in time has no wait shorter than nothing', () => {
    const { machines } = logOf(line(50, 0, 'waits', 'for a'), line(40, 0, 'present', '/a'));
    expect(machines.get(0)?.waited).toEqual([{ what: 'a', fromNs: 50, untilNs: 50 }]);
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
