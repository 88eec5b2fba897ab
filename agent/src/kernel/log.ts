// SPDX-License-Identifier: Apache-2.0
/**
 * The kernel log. What it says about the handover is written during boot and read once. What it says about a file that
 * refused to be preserved or handed over is read when that happens. `/dev/kmsg` gives one record a read
 * (`priority,sequence,µs,flags;text`, Documentation/ABI/testing/dev-kmsg). It answers `EAGAIN` after the last record,
 * and `EPIPE` where records were overwritten while reading.
 */
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import type { HostPaths } from '../host/paths.ts';

const recordBytes = 8192;

/** A record of the log. */
export interface KernelRecord {
  /** From 0 (emergency) to 7 (debug). */
  readonly level: number;
  /** µs after the log's clock began, which is early in the boot. */
  readonly atUs: number;
  readonly text: string;
}

type LogPath = Pick<HostPaths, 'kernelLog'>;

/** All records, oldest first; null if the log may not be read. */
export function readKernelRecords(paths: LogPath): KernelRecord[] | null {
  const text = readRecords(paths);
  return text === null ? null : parseRecords(text);
}

/** The texts of all records, oldest first; null if the log may not be read. */
export function readKernelLog(paths: LogPath): string[] | null {
  return readKernelRecords(paths)?.map(({ text }) => text) ?? null;
}

function readRecords(paths: LogPath): string | null {
  const file = openToRead(paths);
  if (file === null) return null;
  try {
    return readNext(file);
  } finally {
    closeSync(file);
  }
}

function openToRead(paths: LogPath): number | null {
  try {
    return openSync(paths.kernelLog, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return null;
  }
}

/** The records that an open log has not given yet; null if it cannot be read. */
function readNext(file: number): string | null {
  const texts: string[] = [];
  const buffer = Buffer.alloc(recordBytes);
  for (;;) {
    try {
      const length = readSync(file, buffer, 0, recordBytes, null);
      if (length === 0) break;
      texts.push(buffer.toString('utf8', 0, length));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE') continue;
      if (code === 'EAGAIN') break;
      return null;
    }
  }
  return texts.join('');
}

/** Records in `/dev/kmsg`'s format; continuation lines (their dictionary) are left out. */
function parseRecords(text: string): KernelRecord[] {
  return [...text.matchAll(/^(\d+),\d+,(\d+),[^;\n]*;(.*)$/gm)].map(
    // The level is the lowest three bits: above them is the facility.
    ([, priority, us, said = '']) => ({ level: Number(priority) & 7, atUs: Number(us), text: said }),
  );
}

/** A place in what a `KernelLogTail` has read. */
export type LogMark = number;

const mostKept = 1024;

/**
 * What the kernel logs during an operation: only there does it say which file refused. The log is opened at the first
 * mark and kept open, so that only new records have to be read.
 */
export class KernelLogTail {
  readonly #paths: HostPaths;
  #file: number | null = null;
  #kept: string[] = [];
  /** How many records came before the first that is kept. */
  #dropped = 0;

  constructor(paths: HostPaths) {
    this.#paths = paths;
  }

  /** The end of the log as it is now. */
  mark(): LogMark {
    if (this.#file === null) {
      this.#file = openToRead(this.#paths);
      // What is there already is before any mark.
      if (this.#file !== null) readNext(this.#file);
    }
    this.#read();
    return this.#dropped + this.#kept.length;
  }

  /** The texts of what was logged since, oldest first; empty if the log may not be read. */
  since(mark: LogMark): readonly string[] {
    this.#read();
    return this.#kept.slice(Math.max(0, mark - this.#dropped));
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #read(): void {
    if (this.#file === null) return;
    this.#kept.push(...parseRecords(readNext(this.#file) ?? '').map(({ text }) => text));
    const surplus = this.#kept.length - mostKept;
    if (surplus <= 0) return;
    this.#kept = this.#kept.slice(surplus);
    this.#dropped += surplus;
  }
}

/** Writes one line into the kernel log, so that the serial console shows it. Does nothing where that is not allowed. */
export function markKernelLog(paths: HostPaths, text: string): void {
  try {
    const file = openSync(paths.kernelLog, constants.O_WRONLY | constants.O_APPEND);
    try {
      writeSync(file, `<5>luo-console: ${text.replaceAll('\n', ' ')}\n`);
    } finally {
      closeSync(file);
    }
  } catch {
    // A mark for people at the console; nothing depends on it.
  }
}

/** What the log says about the handover. */
export interface HandoverLog {
  /** Whether it goes back to the start of this boot; what is missing may have been overwritten otherwise. */
  readonly complete: boolean;
  /** The kernel found handover data of the one before. */
  readonly found: boolean;
  /** The live update number it logged, or null. */
  readonly number: number | null;
  /** The release of the kernel before, or null. */
  readonly previousRelease: string | null;
  /** Lines that say that the handover could not be used. */
  readonly refused: readonly string[];
  /** Lines that say that handover is off although live update was asked for. */
  readonly off: readonly string[];
}

// The messages are in kernel/liveupdate/{kexec_handover,luo_core}.c of Linux 7.3.
const refusal =
  /^(KHO: (disabling KHO revival|setup: (failed to memremap|handover FDT))|luo: (LUO state is|failed to retrieve LUO state|The incoming tree failed))/;
const switchedOff =
  /^(luo: Disabling liveupdate because KHO is disabled|KHO: (Failed to reserve scratch area, disabling|disabled in the kdump kernel))/;

/** Picks the lines about the handover out of the kernel log. */
export function readHandoverLog(records: readonly string[]): HandoverLog {
  const pick = (pattern: RegExp): string | null => {
    for (const record of records) {
      const match = pattern.exec(record);
      if (match?.[1] !== undefined) return match[1];
    }
    return null;
  };
  const number = pick(/^luo: Retrieved live update data, liveupdate number: (\d{1,15})$/);
  return {
    complete: records.some((record) => record.startsWith('Linux version ')),
    found: records.some((record) => record.startsWith('KHO: found kexec handover data')),
    number: number === null ? null : Number(number),
    previousRelease: pick(/^KHO: exec from: (\S{1,64}) \(count \d+\)$/),
    refused: records.filter((record) => refusal.test(record)),
    off: records.filter((record) => switchedOff.test(record)),
  };
}

/**
 * The live update number from debugfs, for when the log has wrapped: the state prepared for the *next* kernel
 * carries this one's plus one (`struct luo_ser`, include/linux/kho/abi/luo.h).
 *
 * @returns null if debugfs is not there, or speaks a version this does not know.
 */
export function numberFromDebugfs(paths: HostPaths): number | null {
  try {
    const state = readFileSync(`${paths.sys}/kernel/debug/kho/out/sub_fdts/LUO`);
    if (state.length < 16 || !/^luo-v\d+\0/.test(state.toString('latin1', 0, 8))) return null;
    const next = state.readBigUInt64LE(8);
    return next >= 1n && next < 1n << 48n ? Number(next - 1n) : null;
  } catch {
    return null;
  }
}

/**
 * When the kernel started the first process, in µs after its log began (`run_init_process`, `init/main.c`).
 *
 * @returns null if the log does not tell
 */
export function initStartedUs(paths: HostPaths): number | null {
  const found = /^\d+,\d+,(\d+),[^;]*;Run \S+ as init process/m.exec(readRecords(paths) ?? '');
  return found?.[1] === undefined ? null : Number(found[1]);
}
