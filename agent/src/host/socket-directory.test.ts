// SPDX-License-Identifier: Apache-2.0
/** Where the sockets of machines are made, and who may enter. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { makeMeetingPlace } from './socket-directory.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'meeting-'));
  chmodSync(folder, 0o755);
  onTestFinished(() => rmSync(folder, { recursive: true }));
});

/** Whether a user can make something in a directory, as binding a socket does. */
const canMake = (directory: string, uid: number): boolean =>
  spawnSync('/bin/sh', ['-c', ': > "$0/main" && rm "$0/main"', directory], { uid, gid: uid, cwd: '/' })
    .status === 0;

describe('a meeting place', () => {
  it.each([0o077, 0o000, 0o777])('is closed to others whatever the umask is: %o', (umask) => {
    const before = process.umask(umask);
    onTestFinished(() => void process.umask(before));
    const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    const [first, second] = [1, 2].map(() => makeMeetingPlace(join(folder, 'run'), own));
    expect(first).not.toBe(second);
    for (const place of [first, second]) expect(statSync(place ?? '').mode & 0o7777).toBe(0o700);
    expect(statSync(dirname(first ?? '')).mode & 0o7777).toBe(0o711);
  });

  it.runIf(process.getuid?.() === 0)('is where the user of the VMM can make sockets, and nobody else', () => {
    const place = makeMeetingPlace(join(folder, 'run'), { uid: 1234, gid: 1234 });
    expect(statSync(place)).toMatchObject({ uid: 1234, gid: 1234 });
    expect(canMake(place, 65534)).toBe(false);
    expect(canMake(place, 1234)).toBe(true);
    expect(canMake(place, 0)).toBe(true);
  });
});
