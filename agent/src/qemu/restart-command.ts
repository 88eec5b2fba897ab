// SPDX-License-Identifier: Apache-2.0
/**
 * QEMU's command line, as it was given and as it must be to take a saved machine in. Only what would be in the
 * way is taken out; everything that makes the machine stays, because its state fits no other one.
 */

import { readOptions } from './command-line.ts';

/** Options of QEMU that stand alone and would be in the way: the service manager starts it, and it must wait. */
const alone = new Set(['-S', '-daemonize']);
/** Options with a value: a machine that was moved here once was started with one of these. */
const withValue = new Set(['-incoming']);

export const plainWord = (word: string): string => word.replace(/^--/, '-');

/** The words without those that say how QEMU starts rather than what it runs. */
export function startingWords(words: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    if (alone.has(plainWord(word))) continue;
    if (withValue.has(plainWord(word))) index += 1;
    else kept.push(word);
  }
  return kept;
}

/** A backend whose memory is in a file that it was told of. */
const memoryFile = 'memory-backend-file';

/** A Unix socket as QEMU's migration addresses want it. */
export function unixChannel(channel: 'main' | 'cpr', path: string): object {
  return { 'channel-type': channel, addr: { transport: 'socket', type: 'unix', path } };
}

/** Where QEMU is to listen for a machine that hands its descriptors over. */
export interface IncomingSockets {
  readonly main: string;
  readonly cpr: string;
}

/**
 * The words that make QEMU wait for a saved machine, and stay stopped once it has it.
 *
 * @param sockets null for a QEMU that is told through its monitor where to listen
 * @param memory paths for backends of named memory, in place of the ones on the command line
 */
export function incomingWords(
  words: readonly string[],
  sockets: IncomingSockets | null,
  memory: ReadonlyMap<string, string>,
): string[] {
  const incoming =
    sockets === null
      ? ['defer']
      : [unixChannel('main', sockets.main), unixChannel('cpr', sockets.cpr)].map((each) =>
          JSON.stringify(each),
        );
  const replaced = words.map((word, index, all) =>
    plainWord(all[index - 1] ?? '') === '-object' ? withMemoryAt(word, memory) : word,
  );
  return [...replaced, '-S', ...incoming.flatMap((each) => ['-incoming', each])];
}

function withMemoryAt(object: string, memory: ReadonlyMap<string, string>): string {
  const { backend } = memoryFileOf(object) ?? { backend: null };
  const path = backend === null ? undefined : memory.get(backend);
  if (path === undefined) return object;
  if (object.startsWith('{')) return JSON.stringify({ ...JSON.parse(object), 'mem-path': path });
  // A comma in a value is doubled. Of a key that is there twice the last counts.
  const pairs = object.replaceAll(',,', '\0').split(',');
  return pairs
    .map((pair) => (pair.startsWith('mem-path=') ? `mem-path=${path.replaceAll(',', '\0')}` : pair))
    .join(',')
    .replaceAll('\0', ',,');
}

/** Null for an object of another kind. It may name its kind anywhere. */
function memoryFileOf(object: string): { backend: string; path: string } | null {
  const options = readOptions(object, 'qom-type');
  const [backend, path] = [options.get('id'), options.get('mem-path')];
  if (options.get('qom-type') !== memoryFile || backend === undefined || path === undefined) return null;
  return { backend, path };
}

/** The backends of a machine's memory that are in files, with the paths they were given. */
export function memoryFilesOf(words: readonly string[]): { backend: string; path: string }[] {
  return words.flatMap((word, index) =>
    plainWord(words[index - 1] ?? '') === '-object' ? (memoryFileOf(word) ?? []) : [],
  );
}
