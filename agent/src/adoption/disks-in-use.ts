// SPDX-License-Identifier: Apache-2.0
/**
 * Whether somebody else writes to the disks of a held machine, before it is tried again. Its guest has their contents in
 * memory and writes on where it stopped: two who write to one disk destroy it. A disk that others only read, such as an
 * image of a CD, is no obstacle. A disk that the host has mounted or lent to a loop device has no process, and is not
 * found here.
 */
import { stat } from 'node:fs/promises';
import { inTime } from '../host/in-time.ts';
import { type WantedFile, writerOf } from '../host/open-by.ts';
import type { HostPaths } from '../host/paths.ts';
import { visible } from '../host/plain-words.ts';
import { seenBy } from '../host/seen-by.ts';
import { optionOf, readOptions } from '../qemu/command-line.ts';
import { namesOf } from './other-names.ts';
import type { SavedMachine } from './saved-machine.ts';

type DiskMachine = Pick<SavedMachine, 'command' | 'facts' | 'memory' | 'monitor'>;

/** How long it may take to find out, in ms: a file system may not answer. */
const limitMs = 5000;

/**
 * @throws Error that names the disk and the process, or says that it was not found out in time
 */
export async function needDisksAlone({ proc }: Pick<HostPaths, 'proc'>, machine: DiskMachine): Promise<void> {
  // Its owner has said that others may write, as to the disk of a cluster. QEMU looks after the other disks itself.
  if (sharesDisks(machine.command.words)) return;
  const late = (): Error => new Error(`it was not found out within ${limitMs} ms who writes to its disks`);
  const find = async () => await writerOf(proc, await disksOf(proc, machine));
  const writer = await inTime(find(), limitMs, late);
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

/** A word that says of a disk that the machine only reads it. */
const readsOnly = /(^|,)(readonly|read-only)(=(on|yes|true|y))?(,|$)|"read-only":\s*true/;

/** Its disks that are there and that it writes to: those of its words, and block devices that it had open otherwise. */
async function disksOf(proc: string, machine: DiskMachine): Promise<WantedFile[]> {
  const { words } = machine.command;
  const onlyRead = new Set(
    words
      .flatMap((word, at) => {
        const option = optionOf(words, at);
        if (option === null || !(readsOnly.test(word) || option === '-cdrom')) return [];
        return namesOf({ ...machine, command: { ...machine.command, words: [option, word] } });
      })
      .map(({ name }) => name),
  );
  const named = namesOf(machine).flatMap(({ name, kind }) => (kind === 'disk' ? [name] : []));
  const needed = (machine.facts?.needs ?? []).flatMap(({ kind, what }) => (kind === 'present' ? [what] : []));
  const found: WantedFile[] = [];
  for (const path of new Set([...named, ...needed])) {
    // What is missing is found out by QEMU.
    const facts = await stat(seenBy(proc, 1, path)).catch(() => null);
    const isDisk = facts?.isBlockDevice() || (facts?.isFile() && named.includes(path));
    if (facts !== null && isDisk && !onlyRead.has(path)) found.push({ path, facts });
  }
  return found;
}
