// SPDX-License-Identifier: Apache-2.0
/** The lock against a shutdown, held by a program that stands for systemd-inhibit. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ShutdownLock } from './shutdown-lock.ts';

let directory: string;
let log: string[];
const inDirectory = (name: string): string => join(directory, name);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-lock-'));
  log = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

/** @param script what the program does before it holds the lock; the file `held` is there meanwhile */
function lockOf(script: string): ShutdownLock {
  writeFileSync(
    inDirectory('inhibit'),
    `#!/bin/sh
cd ${directory}
echo x >> attempts
${script}
: > held
"$@"
rm held
`,
    { mode: 0o755 },
  );
  return new ShutdownLock({
    log: (level, message, fields) => void log.push(`${level} ${message} ${JSON.stringify(fields)}`),
    command: [inDirectory('inhibit'), '/bin/cat'],
    pausesMs: [1, 20],
  });
}

const held = (): boolean => existsSync(inDirectory('held'));
const attempts = (): number => readFileSync(inDirectory('attempts'), 'utf8').length / 2;

describe('the lock against a shutdown', () => {
  it('is held as long as it is wanted', async () => {
    const lock = lockOf('');
    lock.want(true);
    lock.want(true);
    await vi.waitFor(() => expect(log.join()).toContain('cannot be shut down'));
    expect(held()).toBe(true);
    lock.want(false);
    await vi.waitFor(() => expect(held()).toBe(false));
    expect(attempts()).toBe(1);
    lock.want(true);
    await vi.waitFor(() => expect(held()).toBe(true));
    lock.want(false);
    await vi.waitFor(() => expect(held()).toBe(false));
    expect(log.join()).not.toContain('there is no lock');
  });

  it('is tried again until logind is there, which is said once', async () => {
    const lock = lockOf('[ -e logind ] || { echo "Failed to inhibit: no bus" >&2; exit 1; }');
    lock.want(true);
    await vi.waitFor(() => expect(attempts()).toBeGreaterThan(2));
    writeFileSync(inDirectory('logind'), '');
    await vi.waitFor(() => expect(held()).toBe(true));
    expect(log.filter((line) => line.includes('there is no lock'))).toEqual([
      'info the host can be shut down meanwhile: there is no lock {"problem":"Failed to inhibit: no bus"}',
    ]);
    lock.want(false);
    await vi.waitFor(() => expect(held()).toBe(false));
  });

  it('that no program can take is no error, and is not tried once it is not wanted', async () => {
    const lock = lockOf('exit 1');
    lock.want(true);
    await vi.waitFor(() => expect(attempts()).toBeGreaterThan(1));
    lock.want(false);
    const none = new ShutdownLock({
      log: (...given) => void log.push(given.join(' ')),
      command: [inDirectory('nothing')],
      pausesMs: [1],
    });
    none.want(true);
    await vi.waitFor(() => expect(log.join()).toContain('there is no lock'));
    none.want(false);
  });
});
