// SPDX-License-Identifier: Apache-2.0
/**
 * What a character device needs, from its driver. A driver that hands its devices over to the next kernel may give each
 * an attribute `needs` in sysfs. It lists the devices that must have been preserved before this one: their names in the
 * same directory of `/dev`, or `none`. Of this kernel's drivers only the lab's does so (lab/kernel/driver).
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { visible } from '../host/plain-words.ts';

/** A device whose driver says what it needs. */
export interface StatedDevice {
  /** Its path below `/dev`, for example `luo_lab/iommu0`. */
  readonly name: string;
  /** Likewise of those it needs. */
  readonly needs: readonly string[];
}

/**
 * @param sys where sysfs is mounted
 * @param number `st_rdev` of the device, as stat(2) has it
 * @returns null for a device whose driver says nothing
 */
export async function statedDevice(sys: string, number: number): Promise<StatedDevice | null> {
  // gnu_dev_major(3) and gnu_dev_minor(3), for numbers up to 12 and 20 bits: the kernel has no larger ones.
  const major = (number >>> 8) & 0xfff;
  const minor = (number & 0xff) | ((number >>> 12) & 0xfff00);
  const directory = `${sys}/dev/char/${major}:${minor}`;
  const needs = await readFile(`${directory}/needs`, 'utf8').catch(() => null);
  if (needs === null) return null;
  const event = await readFile(`${directory}/uevent`, 'utf8').catch(() => '');
  // Where the kernel puts it below /dev (`dev_uevent`, drivers/base/core.c), whatever path it was opened by.
  const name = /^DEVNAME=(\S+)$/m.exec(event)?.[1];
  if (name === undefined) return null;
  const others = needs.split(/\s+/).filter((each) => each !== '' && each !== 'none');
  const beside = (other: string): string => visible(join(dirname(name), other));
  return { name: visible(name), needs: others.map(beside) };
}
