// SPDX-License-Identifier: Apache-2.0
/**
 * Running a workspace's own entry point as if it had been called directly: same terminal, same
 * arguments, same exit status.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { inRepository } from './places.ts';

/**
 * Runs a TypeScript entry point under the Node that runs us.
 *
 * @param entry its path from the top of the repository
 * @param args its arguments
 * @returns its exit status; 128 and the signal's number if a signal ended it
 */
export async function runWorkspace(entry: string, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [inRepository(entry), ...args], { stdio: 'inherit' });
  // The terminal's interrupt reaches the child as well, and how to end is its decision.
  const ignore = (): void => {};
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGINT', ignore).on('SIGTERM', pass).on('SIGHUP', pass);
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  } finally {
    process.off('SIGINT', ignore).off('SIGTERM', pass).off('SIGHUP', pass);
  }
}
