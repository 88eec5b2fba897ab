// SPDX-License-Identifier: Apache-2.0
/**
 * Memory backends of a VMM that must change nothing in the files of its memory. QEMU opens such a file for reading only
 * and maps it privately (`readonly` and `rom`, qapi/qom.json, since QEMU 8.2). So what the VMM writes stays its own. The
 * kernel makes sure of that: a file that is open for reading cannot be mapped both shared and writable.
 */
import { plainWord } from './restart-command.ts';

/** What a backend of any kind gets: nothing is made before it is used. */
const lazily = { prealloc: false };
const ofFile = { ...lazily, share: false, readonly: true, rom: 'off', reserve: false };
/** An older QEMU can have such a view only of a file that it may also write: it gets one of nobody's. */
const ofOther = { ...lazily, share: false, reserve: false };

/** The words with every memory backend changed so. @param isPrivate whether its QEMU knows the properties */
export const withPrivateMemory = (words: readonly string[], isPrivate: boolean): string[] =>
  words.map((word, index, all) =>
    plainWord(all[index - 1] ?? '') === '-object' ? changed(word, isPrivate) : word,
  );

function changed(object: string, isPrivate: boolean): string {
  const kind = object.startsWith('{')
    ? /"qom-type"\s*:\s*"memory-backend-(\w+)"/.exec(object)?.[1]
    : /^(?:qom-type=)?memory-backend-(\w+)/.exec(object)?.[1];
  if (kind === undefined) return object;
  const changes = Object.entries(kind !== 'file' ? lazily : isPrivate ? ofFile : ofOther);
  if (object.startsWith('{'))
    return JSON.stringify({ ...JSON.parse(object), ...Object.fromEntries(changes) });
  const texts = changes.map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : value ? 'on' : 'off'}`,
  );
  // Of a key that is there twice the last counts.
  return [object, ...texts].join(',');
}
