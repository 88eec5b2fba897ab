// SPDX-License-Identifier: Apache-2.0
/** What makes a VMM take a saved machine in: its sockets, its words, and what it must be able to do. */
import { join } from 'node:path';
import { type IncomingSockets, incomingWords } from '../qemu/restart-command.ts';
import type { SavedMachine } from './saved-machine.ts';

/** A started VMM finds its files behind standard input, output and error. */
const firstFile = 3;

/** Where a VMM listens in a directory of its own. */
export const incomingSocketsIn = (directory: string): IncomingSockets => ({
  main: join(directory, 'main'),
  cpr: join(directory, 'cpr'),
});

/** The words after the program's name. The files of its memory are handed to it in their order. */
export function wordsToTakeIn(
  {
    command,
    memory,
    way,
  }: Pick<SavedMachine, 'command' | 'way'> & { readonly memory: readonly { readonly backend: string }[] },
  sockets: IncomingSockets,
): string[] {
  const paths = new Map(memory.map(({ backend }, index) => [backend, `/proc/self/fd/${firstFile + index}`]));
  return incomingWords(command.words, way === 'cpr' ? sockets : null, paths);
}

/** What QEMU must be able to do to save a machine, or to take it in, on this way. */
export const capabilitiesFor = (way: SavedMachine['way']): Readonly<Record<string, boolean>> => ({
  events: true,
  'x-ignore-shared': way === 'named_memory',
});

/** Those capabilities as a QEMU has them that nobody has set any of. */
export const usualCapabilities: Readonly<Record<string, boolean>> = {
  events: false,
  'x-ignore-shared': false,
};
