// SPDX-License-Identifier: Apache-2.0
/** What is taken from the carrier's status, whatever is in it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPidFile, readStatus } from './carrier-status.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-carrier-status-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const statusOf = (...lines: readonly string[]) => {
  writeFileSync(join(directory, 'status'), lines.map((line) => `${line}\n`).join(''));
  return readStatus(directory);
};

describe('the status of the carrier', () => {
  it('tells who holds the sessions, and how far each machine is', () => {
    const status = statusOf(
      ...['luo-carrier 1', 'state working', 'keeper 120', 'holder 121'],
      ...[
        'machine 0 200 working machine:one',
        'machine 1 - waiting machine:two words',
        'machine 2 201 crashed machine:three',
        'news from later',
      ],
    );
    expect(status).toEqual({
      ...{ known: true, state: 'working', keeper: 120, holder: 121 },
      machines: [
        { number: 0, pid: 200, session: 'machine:one', through: false },
        { number: 1, pid: null, session: 'machine:two words', through: false },
        { number: 2, pid: 201, session: 'machine:three', through: true },
      ],
    });
  });

  it('is not there if no carrier ran', () => {
    expect(readStatus(directory)).toBe(null);
    expect(readStatus(join(directory, 'nothing'))).toBe(null);
  });

  it('of another format says who holds the sessions, and nothing of machines', () => {
    const lines = [
      'luo-carrier 2',
      'state done',
      'keeper 120',
      'holder 121',
      'machine 0 200 running machine:one',
    ];
    expect(statusOf(...lines)).toEqual({
      ...{ known: false, state: 'done', keeper: 120, holder: 121, machines: [] },
    });
  });

  it.each(['', 'carrier 1', 'luo-carrier', 'luo-carrier one', ' luo-carrier 1'])(
    'does not begin with %j',
    (first) => {
      expect(() => statusOf(first, 'state done')).toThrow('does not begin');
    },
  );

  it('is no longer than what 256 machines take', () => {
    expect(() => statusOf('luo-carrier 1', 'x'.repeat(300_000))).toThrow('has more than 262144 bytes');
  });

  it.each(['keeper 1', 'keeper 0', 'keeper -1', 'keeper 4194305', 'keeper 99999999', 'keeper 12x', 'keeper'])(
    'names no process by %j',
    (line) => {
      expect(statusOf('luo-carrier 1', 'keeper 7', line)?.keeper).toBe(line === 'keeper' ? 7 : null);
    },
  );

  it.each([
    'machine 256 200 running machine:one',
    'machine x 200 running machine:one',
    'machine 0 1 running machine:one',
    'machine 0 200 machine:one',
    'machine 0 200 running ',
    'machine 0',
  ])('has no machine in %j', (line) => {
    expect(statusOf('luo-carrier 1', line)?.machines).toEqual([]);
  });

  it('has each machine and each session once', () => {
    const lines = ['machine 0 200 running a', 'machine 0 201 running b', 'machine 1 202 running a'];
    expect(statusOf('luo-carrier 1', ...lines)?.machines.map(({ pid }) => pid)).toEqual([200]);
  });
});

describe('the number of a VMM', () => {
  it.each([
    ['200\n', 200],
    ['200', null],
    ['1\n', null],
    ['200 \n', null],
    ['2'.repeat(100), null],
    ['', null],
  ])('in %j', (text, pid) => {
    const path = join(directory, '0.pid');
    writeFileSync(path, text);
    expect(readPidFile(path)).toBe(pid);
  });

  it('is unknown before it is written down', () => {
    expect(readPidFile(join(directory, '0.pid'))).toBe(null);
  });
});
