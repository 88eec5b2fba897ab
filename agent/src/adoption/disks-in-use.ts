// SPDX-License-Identifier: Apache-2.0
/**
 * Whether somebody else writes to the disks of a saved machine. Its guest has their contents in memory and writes on
 * where it stopped: two who write to one disk destroy it. A disk that others only read, such as an image of a CD, is no
 * obstacle. A disk that the host has mounted or lent to a loop device has no process, and is not found here.
 */
import { type Stats, statSync } from 'node:fs';
import { type WantedFile, writerOf } from '../host/open-by.ts';
import type { HostPaths } from '../host/paths.ts';
import { visible } from '../host/plain-words.ts';
import { seenBy } from '../host/seen-by.ts';
import { optionOf, readOptions } from '../qemu/command-line.ts';
import { namesOf } from './other-names.ts';
import type { SavedMachine } from './saved-machine.ts';

type DiskMachine = Pick<SavedMachine, 'command' | 'facts' | 'memory' | 'monitor'>;

/**
 * @param isOwn whether a process belongs to an earlier attempt to start this machine, which is ended otherwise
 * @throws Error that names the disk and the process
 */
export async function needDisksAlone(
  { proc }: Pick<HostPaths, 'proc'>,
  machine: DiskMachine,
  isOwn: (pid: number) => Promise<boolean>,
): Promise<void> {
  // Its owner has said that others may write, as to the disk of a cluster. QEMU looks after the other disks itself.
  if (sharesDisks(machine.command.words)) return;
  const disks = disksOf(proc, machine);
  if (disks.length === 0) return;
  const writer = await writerOf(proc, disks, isOwn);
  if (writer === null) return;
  const { pid, command, path } = writer;
  throw new Error(
    `process ${pid} (${command}) has its disk ${visible(path)} open for writing, and two who write would destroy it`,
  );
}

const sharesDisks = (words: readonly string[]): boolean =>
  words.some(
    (word, index) =>
      optionOf(words, index) === '-device' &&
      // As QEMU reads a switch (`qapi_bool_parse`, qapi/qapi-util.c).
      ['on', 'yes', 'true', 'y'].includes(readOptions(word, 'driver').get('share-rw') ?? 'off'),
  );

/** Its disks that are there: those of its words, and block devices that it had open otherwise. */
function disksOf(proc: string, machine: DiskMachine): WantedFile[] {
  const named = namesOf(machine).flatMap(({ name, kind }) => (kind === 'disk' ? [name] : []));
  const needed = (machine.facts?.needs ?? []).flatMap(({ kind, what }) => (kind === 'present' ? [what] : []));
  const look = (path: string): Stats | undefined => {
    try {
      return statSync(seenBy(proc, 1, path));
    } catch {
      // What is missing is found out by QEMU.
      return undefined;
    }
  };
  return [...new Set([...named, ...needed])].flatMap((path) => {
    const facts = look(path);
    return facts?.isBlockDevice() || (facts?.isFile() && named.includes(path)) ? [{ path, facts }] : [];
  });
}
