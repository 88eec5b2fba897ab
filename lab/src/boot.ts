// SPDX-License-Identifier: Apache-2.0
/**
 * Knowing when a host has booted, and that it never will. The host writes a line to a virtio port when SSH answers, and
 * the agent if it has one. The lines of all its boots are in events.log. A boot fails in four ways. QEMU ends, the
 * kernel panics, systemd gives up and starts its emergency shell, or nothing happens for too long. Each gives another
 * error, and each error shows the end of the serial log, where the reason is. For a panic it shows the end of what the
 * kernel said that panicked. The machine starts again at once, and its next boot fills the log.
 */

import { appendFile, readFile, stat } from 'node:fs/promises';
import { exited } from './qemu.ts';
import type { HostFiles } from './settings.ts';
import { waitForText } from './watch.ts';

/** One boot of a host, as the host reported it. */
export interface Boot {
  /** The kernel's random boot id, with dashes. */
  readonly bootId: string;
  /** `uname -r`. */
  readonly kernel: string;
  /** Seconds from the kernel's start to the report. */
  readonly uptimeSeconds: number;
  /** Whether the agent answers; `absent` if its package is not installed. */
  readonly agent: 'answers' | 'silent' | 'absent';
  /** Byte offset in events.log at which its report ends. */
  readonly reportEnd: number;
}

/** A host that did not come up; the message ends with the last lines of its serial console. */
export class BootError extends Error {
  constructor(name: string, why: string, serialTail: string) {
    super(`host ${name}: ${why}\n--- end of the serial console ---\n${serialTail}`);
    this.name = 'BootError';
  }
}

/** The kernel panicked; the number is the byte offset in the serial log at which its last words end. */
class KernelPanic extends Error {
  readonly logEnd: number;

  constructor(reason: string, logEnd: number) {
    super(`the kernel panicked: ${reason}`);
    this.logEnd = logEnd;
  }
}

/** A loaded machine needs many times the usual; after this long the host is broken. */
const bootLimitMs = 240_000;
const tailLines = 60;
const reportPattern =
  /^(ready|emergency) boot=([0-9a-f-]{36}) kernel=(\S+) uptime=([\d.]+) agent=(answers|silent|absent)\n/m;

const powerOnMark = 'power-on\n';

/** Where a host's logs end now: what comes later belongs to what happens next. */
export interface LogEnds {
  readonly serial: number;
  readonly events: number;
}

export async function logEnds(files: HostFiles): Promise<LogEnds> {
  const [serial, events] = await Promise.all([stat(files.serialLog), stat(files.events)]);
  return { serial: serial.size, events: events.size };
}

/** All boots a host has reported so far, oldest first. */
export async function reportedBoots(files: HostFiles): Promise<Boot[]> {
  const matches = (await readEvents(files)).matchAll(new RegExp(reportPattern.source, 'gm'));
  return [...matches]
    .filter((match) => match[1] === 'ready')
    .map((match) => toBoot(match, match.index + match[0].length));
}

/** Notes in the host's events that it is switched on: reports before this are of earlier lives. */
export async function notePowerOn(files: HostFiles): Promise<void> {
  await appendFile(files.events, powerOnMark);
}

/** Byte offset in a host's events from which those since it was last switched on begin. */
export async function sincePowerOn(files: HostFiles): Promise<number> {
  const mark = (await readEvents(files)).lastIndexOf(powerOnMark);
  return mark < 0 ? 0 : mark + powerOnMark.length;
}

/** What to wait for, and how long. */
export interface BootWait {
  /** Look at what was logged after this. */
  readonly since: LogEnds;
  /** Stop at a kernel panic. The machine starts again after one, which may be what is waited for. */
  readonly failOnPanic: boolean;
  readonly limitMs?: number | undefined;
}

/**
 * Waits for the host's next boot to be complete.
 *
 * @param ended rejects when QEMU ends, where this process started it and can say more
 * @throws BootError when the boot failed
 */
export async function waitForBoot(
  name: string,
  files: HostFiles,
  wait: BootWait,
  ended?: Promise<never>,
): Promise<Boot> {
  const limitMs = wait.limitMs ?? bootLimitMs;
  const stop = new AbortController();
  const { signal } = stop;
  const limit = setTimeout(() => stop.abort(new Error(`not up after ${limitMs / 1000} s`)), limitMs);
  const gone = async (): Promise<never> => {
    await exited(files, signal);
    throw new Error('QEMU ended');
  };
  const watching: Promise<Boot>[] = [report(files, wait, signal)];
  if (wait.failOnPanic) watching.push(panic(files, wait.since.serial, signal));
  if (!ended) watching.push(gone());
  try {
    return await Promise.race(ended ? [...watching, ended] : watching);
  } catch (error) {
    const logEnd = error instanceof KernelPanic ? error.logEnd : undefined;
    throw new BootError(name, (error as Error).message, await serialTail(files, tailLines, logEnd));
  } finally {
    clearTimeout(limit);
    stop.abort();
    await Promise.allSettled(watching);
  }
}

async function report(files: HostFiles, wait: BootWait, signal: AbortSignal): Promise<Boot> {
  const { match, end } = await waitForText(files.events, reportPattern, { from: wait.since.events, signal });
  if (match[1] === 'emergency') throw new Error('systemd entered emergency mode');
  return toBoot(match, end);
}

async function panic(files: HostFiles, from: number, signal: AbortSignal): Promise<never> {
  const { match, end } = await waitForText(files.serialLog, /Kernel panic - not syncing: ([^\r\n]*)\r?\n/, {
    from,
    signal,
  });
  // The lines after it say where. They are complete once one follows that can only be their last, or the
  // first line of the kernel that the machine starts with again.
  const last = await waitForText(
    files.serialLog,
    /(?:---\[ end Kernel panic|Rebooting)[^\n]*\n|^(?=[^\n]*Linux version)/m,
    { from: end, signal },
  );
  throw new KernelPanic(match[1] ?? '', last.end);
}

/**
 * The last lines of a host's serial console.
 *
 * @param logEnd byte offset in the log at which the last of them ends; the end of the log if not given
 */
export async function serialTail(files: HostFiles, lines = tailLines, logEnd?: number): Promise<string> {
  const log = await readFile(files.serialLog).catch(() => Buffer.alloc(0));
  const text = log.subarray(0, logEnd).toString('utf8');
  return text.replaceAll('\r', '').trimEnd().split('\n').slice(-lines).join('\n');
}

async function readEvents(files: HostFiles): Promise<string> {
  return readFile(files.events, 'latin1').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
}

function toBoot(match: RegExpExecArray, reportEnd: number): Boot {
  const [, , bootId = '', kernel = '', uptime = '', agent = ''] = match;
  return { bootId, kernel, uptimeSeconds: Number(uptime), agent: agent as Boot['agent'], reportEnd };
}
