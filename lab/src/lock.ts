// SPDX-License-Identifier: Apache-2.0
/**
 * One builder at a time. Two lab commands that start together would otherwise compile the same kernel in the same
 * directory. The lock is flock(2), held by a small child process that lives as long as its standard input. If this
 * process dies, however it dies, the lock is gone.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';

// What flock is told to exit with when someone else holds the lock.
const heldStatus = 75;
const holdCommand = `sh -c 'echo held; exec cat'`;
const lockScript =
  `flock --nonblock --conflict-exit-code ${heldStatus} "$0" ${holdCommand}; status=$?; ` +
  `test $status = ${heldStatus} || exit $status; echo waiting; exec flock "$0" ${holdCommand}`;

/**
 * Does some work while holding an exclusive lock, after waiting for it if need be.
 *
 * @param path lock file, created as needed
 * @param work what must not be done twice at once
 * @param onWaiting called if somebody else holds it, before the wait
 */
export async function withLock<Result>(
  path: string,
  work: () => Promise<Result>,
  onWaiting: () => void = () => {},
): Promise<Result> {
  await mkdir(dirname(path), { recursive: true });
  const holder = spawn('sh', ['-c', lockScript, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(holder, 'exit').then(([code]) => {
    throw new Error(`flock ${path}: exit status ${code}, expected it to hold the lock`);
  });
  ended.catch(() => {});
  const held = async (): Promise<void> => {
    for await (const line of createInterface({ input: holder.stdout })) {
      if (line === 'held') return;
      onWaiting();
    }
    await ended;
  };
  await Promise.race([held(), ended]);
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await ended.catch(() => {});
  }
}
