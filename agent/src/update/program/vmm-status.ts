// SPDX-License-Identifier: Apache-2.0
/**
 * What procfs says in text of a running VMM: its groups, its umask, its limits, and a few variables of its
 * environment. Every file is read up to a bound: what a VMM may change itself can be as long as it likes.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import * as v from 'valibot';
import type { Limit } from '../../adoption/vmm-facts.ts';

/** Most bytes read of a file. The longest is a list of 65,536 groups (NGROUPS_MAX, include/uapi/linux/limits.h): 704 KiB. */
const mostBytes = 1024 * 1024;

/** The beginning of a file of procfs, which need not be all of it. @throws SystemError */
export async function readStart(file: string): Promise<string> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const buffer = Buffer.alloc(mostBytes);
    let length = 0;
    for (let more = true; more && length < mostBytes; ) {
      // procfs gives a page at a time, whatever it is asked for.
      const { bytesRead } = await handle.read(buffer, length, mostBytes - length, null);
      length += bytesRead;
      more = bytesRead > 0;
    }
    return buffer.toString('utf8', 0, length);
  } finally {
    await handle.close();
  }
}

const id = v.pipe(v.string(), v.regex(/^\d+$/, 'a number'), v.transform(Number), v.maxValue(0xffff_ffff));
/** Sizes are in units of 1024 bytes there, and missing of a process without memory. */
const size = v.pipe(
  v.optional(v.string(), '0 kB'),
  v.regex(/^\d+ kB$/, 'a size in kB'),
  v.transform((text) => Number.parseInt(text, 10) * 1024),
);
const Nice = v.pipe(v.string('its nice value'), v.regex(/^-?\d{1,2}$/, 'a number'), v.transform(Number));
const Status = v.object({
  groups: v.array(id),
  umask: v.pipe(
    v.string('its umask'),
    v.regex(/^[0-7]{1,4}$/, 'an octal number'),
    v.transform((text) => Number.parseInt(text, 8)),
  ),
  mapped: size,
  locked: size,
});
type VmmStatus = v.InferOutput<typeof Status>;

/** Supplementary groups, umask, and bytes that are mapped and of these locked, from `/proc/PID/status` (proc_pid_status(5)). @throws ValiError */
export function readStatus(text: string): VmmStatus {
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}:[\\t ]*(.*)$`, 'm').exec(text)?.[1];
  return v.parse(Status, {
    groups: (field('Groups') ?? 'not there').split(' ').filter((each) => each !== ''),
    umask: field('Umask')?.trim(),
    mapped: field('VmSize')?.trim(),
    locked: field('VmLck')?.trim(),
  });
}

/** The nice value of a process from `/proc/PID/stat` (proc_pid_stat(5)). @throws ValiError */
export function readNice(text: string): number {
  // The program's name before it may have blanks and brackets.
  const [, nice] = /^(?: \S+){16} (\S+)/.exec(text.slice(text.lastIndexOf(')') + 1)) ?? [];
  return v.parse(Nice, nice);
}

/**
 * The names in `/proc/PID/limits` (`lnames`, fs/proc/base.c), each at the place of its number
 * (include/uapi/asm-generic/resource.h).
 */
const limitNames: readonly string[] = [
  'Max cpu time',
  'Max file size',
  'Max data size',
  'Max stack size',
  'Max core file size',
  'Max resident set',
  'Max processes',
  'Max open files',
  'Max locked memory',
  'Max address space',
  'Max file locks',
  'Max pending signals',
  'Max msgqueue size',
  'Max nice priority',
  'Max realtime priority',
  'Max realtime timeout',
];

/** The limits by number. @throws Error if one of them is missing */
export function readLimits(text: string): Limit[] {
  return limitNames.map((name, number) => {
    const [, soft, hard] =
      new RegExp(`^${name} +(\\d+|unlimited) +(\\d+|unlimited)\\b`, 'm').exec(text) ?? [];
    if (soft === undefined || hard === undefined) throw new Error(`its limits have no "${name}"`);
    return { number, soft, hard };
  });
}

/** Variables that a VMM keeps, with what the first one is where it has none. */
const kept = ['PATH', 'LANG', 'HOME', 'TMPDIR', 'RUNTIME_DIRECTORY', 'LOGS_DIRECTORY'];
export const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin';
const longestValue = 4096;

/** `NAME=VALUE` of its environment, as far as a VMM needs it. */
export function readVariables(environment: string): string[] {
  // The last one may have been cut off.
  const all = environment.split('\0').slice(0, -1);
  return kept.flatMap((name) => {
    const found = all.find((each) => each.startsWith(`${name}=`) && Buffer.byteLength(each) <= longestValue);
    return found ?? (name === 'PATH' ? [`PATH=${usualPath}`] : []);
  });
}
