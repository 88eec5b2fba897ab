// SPDX-License-Identifier: Apache-2.0
/**
 * Memory backends of a VMM that must change nothing in the files of its memory. QEMU opens such a file for reading only
 * and maps it privately (`readonly` and `rom`, qapi/qom.json, since QEMU 8.2). So what the VMM writes stays its own. The
 * kernel makes sure of that: a file that is open for reading cannot be mapped both shared and writable.
 *
 * A file that is not handed over is not opened at all: its backend has memory that nobody else has. No backend takes pages
 * of hugetlbfs. What is reserved there is promised to guests, and one that was promised nothing ends when there is no page
 * left (`hugetlb_no_page`, mm/hugetlb.c).
 */
import { readOptions } from './command-line.ts';
import { plainWord } from './restart-command.ts';

type Changes = Readonly<Record<string, string | boolean>>;

/** What a backend of any kind gets: nothing is made before it is used. */
const lazily: Changes = { prealloc: false };
const ofFile: Changes = { ...lazily, share: false, readonly: true, rom: 'off', reserve: false };
/** An older QEMU can have such a view only of a file that it may also write: it gets one of nobody's. */
const ofOther: Changes = { ...lazily, share: false, reserve: false };

/** What only a backend in a file has (`file_backend_class_init`, backends/hostmem-file.c). */
const onlyOfFiles: ReadonlySet<string> = new Set([
  ...['mem-path', 'align', 'offset', 'discard-data', 'pmem', 'readonly', 'rom'],
]);

/**
 * The words with every memory backend changed so.
 *
 * @param isPrivate whether its QEMU knows the properties
 * @param handed ids of the backends whose files are handed over
 */
export const withPrivateMemory = (
  words: readonly string[],
  isPrivate: boolean,
  handed: ReadonlySet<string>,
): string[] =>
  words.map((word, index, all) =>
    plainWord(all[index - 1] ?? '') === '-object' ? changed(word, isPrivate, handed) : word,
  );

function changed(object: string, isPrivate: boolean, handed: ReadonlySet<string>): string {
  // Not of an object in an object.
  const options = object.startsWith('{')
    ? new Map(Object.entries(parsed(object)))
    : readOptions(object, 'qom-type');
  const kind = /^memory-backend-(\w+)$/.exec(String(options.get('qom-type')))?.[1];
  if (kind === undefined) return object;
  if (kind === 'file' && !handed.has(String(options.get('id')))) return inNoFile(object);
  const inHugetlb: Changes = options.has('hugetlb') ? { hugetlb: false } : {};
  return withChanges(object, kind !== 'file' ? { ...lazily, ...inHugetlb } : isPrivate ? ofFile : ofOther);
}

const parsed = (json: string): Record<string, unknown> => JSON.parse(json);

/** Of a key that is there twice the last counts. */
function withChanges(object: string, changes: Changes): string {
  if (object.startsWith('{')) return JSON.stringify({ ...parsed(object), ...changes });
  const texts = Object.entries(changes).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : value ? 'on' : 'off'}`,
  );
  return [object, ...texts].join(',');
}

function inNoFile(object: string): string {
  const changes = { ...ofOther, 'qom-type': 'memory-backend-ram' };
  if (object.startsWith('{')) {
    const kept = Object.entries(parsed(object)).filter(([key]) => !onlyOfFiles.has(key));
    return JSON.stringify({ ...Object.fromEntries(kept), ...changes });
  }
  const kept = object
    .replaceAll(',,', '\0')
    .split(',')
    .filter((pair, index) => {
      const [key = ''] = index === 0 && !pair.includes('=') ? ['qom-type'] : pair.split('=');
      return key !== 'qom-type' && !onlyOfFiles.has(key);
    });
  return withChanges(kept.join(',').replaceAll('\0', ',,'), changes);
}
