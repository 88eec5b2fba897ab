// SPDX-License-Identifier: Apache-2.0
/**
 * What the running kernel's own boot took time for, by the time stamps of its log. Nothing here is known beforehand: what
 * the log does not show is not said.
 */
import { recordsOfBoot } from './boot-stretches.ts';
import type { KernelRecord } from './log.ts';

/** Something that took time in the boot. */
export interface Taken {
  readonly name: string;
  readonly us: number;
}

export interface BootTimes {
  /** From the first record to the first process. */
  readonly initUs: number;
  /** From there until the host's own service manager began; null if there was no initrd, or the log does not tell. */
  readonly initrdUs: number | null;
  /** Printing what `quiet` would leave out, at most; null if no console printed. */
  readonly printing: { readonly console: string; readonly us: number } | null;
  /** Giving all memory to the allocator, before anything else runs; null if the log does not tell. */
  readonly memoryUs: number | null;
  /** The kernel's own initialisations, the slowest first; null without `initcall_debug`. */
  readonly initcalls: readonly Taken[] | null;
  /** The longest time without a record, and the record at its end. */
  readonly longest: Taken | null;
}

/** Records from this level on are not printed with `quiet` (`CONSOLE_LOGLEVEL_QUIET`, `include/linux/printk.h`). */
const quietLevel = 4;
/** Records of this level are not printed anyway (`CONSOLE_LOGLEVEL_DEFAULT`). */
const debugLevel = 7;
/** What a console prints around a text: the time stamp and the end of the line. */
const aroundBytes = 17;

const bytesOf = (records: readonly KernelRecord[], fromLevel: number): number =>
  records
    .filter(({ level }) => level >= fromLevel && level < debugLevel)
    .reduce((sum, { text }) => sum + text.length + aroundBytes, 0);

/**
 * A console that is registered prints everything so far, before the next record is written (`register_console`,
 * `kernel/printk/printk.c`). So the gap behind that record is what so many bytes take. Of several consoles the slowest counts.
 */
function printingOf(records: readonly KernelRecord[]): BootTimes['printing'] {
  let found: BootTimes['printing'] = null;
  for (const [index, { atUs, text }] of records.entries()) {
    const name = /\bconsole \[(\w+)\] enabled$/.exec(text)?.[1];
    const next = records[index + 1];
    const before = bytesOf(records.slice(0, index + 1), 0);
    if (name === undefined || next === undefined || before === 0) continue;
    const us = ((next.atUs - atUs) / before) * bytesOf(records, quietLevel);
    if (found === null || us > found.us) found = { console: name, us: Math.round(us) };
  }
  return found;
}

/** `memblock_free_all` runs between these two records (`mm_core_init`, `mm/mm_init.c`). */
function memoryUsOf(records: readonly KernelRecord[]): number | null {
  const index = records.findIndex(({ text }) => text.startsWith('mem auto-init:'));
  const [from, until] = [records[index], records[index + 1]];
  return index < 0 || !from || !until ? null : until.atUs - from.atUs;
}

function initcallsOf(records: readonly KernelRecord[]): BootTimes['initcalls'] {
  const calls = records.flatMap(({ text }): Taken[] => {
    const [, name, us] = /^initcall (\w+)\+\S+(?: \[\w+\])? returned \S+ after (\d+) usecs/.exec(text) ?? [];
    return name === undefined ? [] : [{ name, us: Number(us) }];
  });
  return calls.length === 0 ? null : calls.toSorted((one, other) => other.us - one.us);
}

function longestOf(records: readonly KernelRecord[]): Taken | null {
  let longest: Taken | null = null;
  for (const [index, { atUs, text }] of records.entries()) {
    const us = atUs - (records[index - 1]?.atUs ?? atUs);
    if (us > (longest?.us ?? 0)) longest = { name: text, us };
  }
  return longest;
}

/** The kernel has started what an initrd begins with (`kernel_init`, `init/main.c`). */
const startsInitrd = /^Run \/init as init process$/;
/** systemd begins, in a dracut initrd and once more after the switch of roots (`main.c` of systemd). */
const startsManager = /^systemd\[1\]: systemd \S+ running in system mode/;

/** @param first the record of the first process */
function initrdUsOf(records: readonly KernelRecord[], first: KernelRecord): number | null {
  if (!startsInitrd.test(first.text)) return null;
  const managers = records.slice(records.indexOf(first)).filter(({ text }) => startsManager.test(text));
  const inInitrd = records.some(({ text }) => text === 'systemd[1]: Running in initrd.');
  // With systemd in the initrd the first is its own.
  const own = managers[inInitrd ? 1 : 0];
  return own === undefined ? null : own.atUs - first.atUs;
}

/**
 * What the boot took time for, until the kernel started the first process.
 *
 * @param records of the log, oldest first
 * @returns null if the log has lost its beginning, or has no first process
 */
export function bootTimes(records: readonly KernelRecord[]): BootTimes | null {
  const boot = recordsOfBoot(records);
  const first = boot?.at(-1);
  if (!boot || !first) return null;
  return {
    initUs: first.atUs,
    initrdUs: initrdUsOf(records, first),
    printing: printingOf(boot),
    memoryUs: memoryUsOf(boot),
    initcalls: initcallsOf(boot),
    longest: longestOf(boot),
  };
}
