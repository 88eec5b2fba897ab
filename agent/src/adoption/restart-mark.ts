// SPDX-License-Identifier: Apache-2.0
/**
 * How far a machine is that is started again, in one byte behind its state. The carrier writes it, which takes no time
 * while the machine is stopped. It tells an agent where to go on after the carrier, or another agent, died.
 *
 * The byte after it counts the attempts of agents to start the machine. It is not in an agent or in a file: so it lives
 * as long as the state that is tried, and ends with it.
 */
import type { FdLike, Memory } from '@luo-console/native';
import type { SavedMachine } from './saved-machine.ts';

/**
 * `starting` is written before a VMM is started, `running` before the guest is told to run. A saved state is never
 * loaded again after that: the memory has changed since. `settled` and `settled_running` replace the others when the
 * update is settled: from then on a state in a kept index is only there to be copied.
 */
export type RestartMark = 'none' | 'starting' | 'running' | 'settled' | 'settled_running';

const marks: readonly RestartMark[] = ['none', 'starting', 'running', 'settled', 'settled_running'];

/** The mark of a state in the index once the update is settled. */
export const settledMark = (mark: RestartMark): RestartMark =>
  mark === 'running' || mark === 'settled_running' ? 'settled_running' : 'settled';

/** The mark of a copy of such a state, which may be tried again if its guest has not run. */
export const copiedMark = (mark: RestartMark): RestartMark =>
  mark === 'running' || mark === 'settled_running' ? 'running' : 'starting';

/** Where in the file of its state a machine's mark is, in bytes. */
export const markOffset = ({ state }: SavedMachine): bigint =>
  BigInt((state?.cprBytes ?? 0) + (state?.mainBytes ?? 0));

/** Bytes that mark and count take behind the state; zeros stand for `none`, and for no attempt. */
export const bytesBehindState = 2;

/** The byte that stands for a mark. */
export const markByte = (mark: RestartMark): number => marks.indexOf(mark);

/** @returns `running` for a byte that is no mark: to load a state again would be worse than not to */
export function readMark(memory: Memory, file: FdLike, machine: SavedMachine): RestartMark {
  const byte = memory.read(file, markOffset(machine), 1)[0] ?? 0;
  return marks[byte] ?? 'running';
}

export function writeMark(memory: Memory, file: FdLike, machine: SavedMachine, mark: RestartMark): void {
  memory.write(file, markOffset(machine), Uint8Array.of(markByte(mark)));
}

const countOffset = (machine: SavedMachine): bigint => markOffset(machine) + 1n;

/** How many attempts to start the machine agents have begun. An agent of before the count left no room: then 0. */
export const readAttempts = (memory: Memory, file: FdLike, machine: SavedMachine): number =>
  memory.read(file, countOffset(machine), 1)[0] ?? 0;

/** @param attempts at most 255 are counted */
export function writeAttempts(memory: Memory, file: FdLike, machine: SavedMachine, attempts: number): void {
  memory.write(file, countOffset(machine), Uint8Array.of(Math.min(attempts, 255)));
}
