// SPDX-License-Identifier: Apache-2.0
/**
 * Which disks a VMM can open a second time, for reading, beside the running one: files and block devices of this host. A
 * second connection to a server of disks could be refused, or break the first. The formats are those of QEMU that write
 * nothing when they are opened for a machine whose state comes later. Of vhdx and parallels QEMU would have to repair what
 * the running VMM has open.
 */
import { visible } from '../host/plain-words.ts';
import { readOptions } from '../qemu/command-line.ts';

const protocols = ['file', 'host_device', 'host_cdrom', 'null-co', 'null-aio'];
const formats = [
  ...['raw', 'qcow2', 'qcow', 'qed', 'vdi', 'vmdk', 'vpc', 'luks', 'dmg', 'bochs', 'cloop'],
  ...['throttle', 'copy-on-read', 'quorum'],
];
const known: ReadonlySet<string> = new Set([...protocols, ...formats]);

/** Whether a file name of QEMU's is one of the host: others begin with the name of a protocol. */
export const isLocal = (file: string): boolean => file.startsWith('/') || !/^[a-z][a-z0-9+.-]*:/i.test(file);

/**
 * All keys of an option's value with their values, also those of objects in objects.
 *
 * @param firstKey what its first value is called without a key
 */
export function allPairs(word: string, firstKey = ''): [key: string, value: string][] {
  if (!word.startsWith('{')) return [...readOptions(word, firstKey)];
  const found: [string, string][] = [];
  try {
    JSON.parse(word, (key, value: unknown) => {
      if (typeof value !== 'object') found.push([key, String(value)]);
      return value;
    });
  } catch {
    // QEMU reads more as JSON than others do: such a word is refused elsewhere.
  }
  return found;
}

/** @param drivers of all block nodes of the running VMM: no word names what is behind a disk. @returns null if all can be had twice */
export function whyNoDrivers(drivers: readonly string[]): string | null {
  const other = drivers.find((driver) => !known.has(driver));
  return other === undefined
    ? null
    : `one of its disks, or what is behind it, is opened by the driver ${visible(other)}, which may not be done twice`;
}

/** @param pairs of -drive or -blockdev. @returns null if the disk can be opened for reading */
export function whyNoDisk(pairs: readonly (readonly [key: string, value: string])[]): string | null {
  for (const [key, value] of pairs) {
    const name = key.split('.').at(-1) ?? '';
    if (['driver', 'format'].includes(name) && !known.has(value))
      return `its disk is opened by the driver ${visible(value)}, which may not be done twice`;
    if (['file', 'filename'].includes(name) && !isLocal(value))
      return `its disk ${visible(value)} is no file or block device`;
    if (name === 'snapshot' && ['on', 'yes', 'true', 'y', ''].includes(value))
      return 'its disk has a temporary file for what is written';
  }
  return null;
}
