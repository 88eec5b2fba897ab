// SPDX-License-Identifier: Apache-2.0
/** Every thread of libuv's pool, kept busy by opening what nobody opens at the other end. */
import { execFileSync } from 'node:child_process';
import { constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { descriptors } from '../src/index.ts';

/** More than libuv has threads. */
const waitCount = 32;

export function busyPool(): AsyncDisposable {
  const directory = mkdtempSync(join(tmpdir(), 'luo-busy-'));
  const pipe = join(directory, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const held = Array.from({ length: waitCount }, () => open(pipe, 'r'));
  return {
    async [Symbol.asyncDispose]() {
      const other = descriptors.takeOwnership(openSync(pipe, constants.O_RDWR));
      for (const handle of await Promise.all(held)) await handle.close();
      other.close();
      rmSync(directory, { recursive: true });
    },
  };
}
