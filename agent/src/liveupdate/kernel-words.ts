// SPDX-License-Identifier: Apache-2.0
/**
 * A refusal with the kernel's own words about it. The requests on a session answer with an errno only, whatever
 * refused. A handler that has a reason writes it into the kernel log.
 */
import { visible } from '../host/plain-words.ts';
import { isKernelFailure, type KernelFailure } from '../host/refusal.ts';
import type { KernelLog } from './live-update-context.ts';

/** Lines to repeat at most, and characters of each. */
const mostLines = 3;
const mostCharacters = 200;

/**
 * Does something with the kernel. If it refuses, the failure's message says what it was about, and what was
 * logged meanwhile.
 *
 * @param what it is about, for people
 * @param mark where in the log it begins. Of many acts that follow each other one mark is enough, until one fails.
 * @throws what `act` throws
 */
export async function withKernelWords<T>(
  log: KernelLog,
  what: string,
  act: () => Promise<T> | T,
  mark: number = log.mark(),
): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!isKernelFailure(error)) throw error;
    throw explained(error, what, log.since(mark));
  }
}

function explained(error: KernelFailure, what: string, lines: readonly string[]): KernelFailure {
  const said = lines
    .filter((line) => !line.startsWith('luo-console: '))
    .slice(-mostLines)
    .map((line) => `"${visible(line.slice(0, mostCharacters))}"`);
  const words = said.length === 0 ? '' : `; meanwhile the kernel logged ${said.join(', ')}`;
  const { code, errno, syscall, argument } = error;
  const facts = argument === undefined ? { code, errno, syscall } : { code, errno, syscall, argument };
  return Object.assign(new Error(`${what}: ${error.message}${words}`, { cause: error }), facts);
}
