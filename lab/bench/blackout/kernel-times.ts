// SPDX-License-Identifier: Apache-2.0
/**
 * Where the kernels' time goes, by the time stamps of both logs, as the serial console has them. The line "Starting new
 * kernel" divides the part *kexec*. What comes behind it is the next kernel's, before its clock runs. In the next
 * kernel's log the gaps between two lines say what took long.
 */
import type { Update } from '@luo-console/agent/interface';

/** Nothing for some time in the next kernel's log. */
export interface Gap {
  readonly ms: number;
  /** What the kernel said then. */
  readonly before: string;
}

export interface KernelTimes {
  /** Of the part *kexec*, in ms: in the old kernel, and in the next one. Null if the log does not say. */
  readonly oldMs: number | null;
  readonly newMs: number | null;
  /** The longest gaps until the first process, the longest first. */
  readonly gaps: readonly Gap[];
}

/** Shorter gaps than this are not told, in ms, nor more of them than so many. */
const shortestGapMs = 40;
const mostGaps = 4;

interface Line {
  readonly us: number;
  readonly text: string;
}

function linesOf(log: string): Line[] {
  return [...log.matchAll(/^.*?\[ *(\d+)\.(\d{6})\] (.*?)\r?$/gm)].map(([, s = '', us = '', text = '']) => ({
    us: Number(s) * 1_000_000 + Number(us),
    text,
  }));
}

/** What `markedAtUs` was read beside: so the clock of the old kernel's log is known. */
export const clockMark = 'bench: clock';

/** How long the old kernel worked on the kexec, in µs; null if its log does not tell. */
function oldKernelUs(lines: readonly Line[], update: Update, markedAtUs: number): number | null {
  const marked = lines.findLast(({ text }) => text === clockMark);
  const started = lines.findLast(({ text }) => text.includes('Starting new kernel'));
  const begins = update.machines.flatMap(({ suspendedAtUs, parts }) => {
    const kexec = parts.find(({ part }) => part === 'kexec');
    const first = parts[0];
    if (suspendedAtUs === null || !kexec || !first) return [];
    return [suspendedAtUs + kexec.startedAtUs - first.startedAtUs];
  });
  if (!marked || !started || begins.length === 0) return null;
  return markedAtUs + started.us - marked.us - Math.max(...begins);
}

/**
 * Reads both kernels' logs.
 *
 * @param log of the serial console, from before the update until after it
 * @param kexecMs how long the part *kexec* took
 * @param markedAtUs when the old kernel's log got `clockMark`, µs since the epoch
 */
export function kernelTimes(log: string, update: Update, kexecMs: number, markedAtUs: number): KernelTimes {
  const at = log.search(/\[ *0\.000000\] Linux version /);
  const next = at < 0 ? [] : linesOf(log.slice(at));
  const oldUs = oldKernelUs(linesOf(at < 0 ? log : log.slice(0, at)), update, markedAtUs);
  const oldMs = oldUs === null || oldUs < 0 || oldUs / 1000 > kexecMs ? null : oldUs / 1000;
  const end = next.findIndex(({ text }) => /^Run \S+ as init process/.test(text));
  const gaps = next.slice(0, end + 1).flatMap(({ us, text }, index): Gap[] => {
    const ms = (us - (next[index - 1]?.us ?? us)) / 1000;
    return ms < shortestGapMs ? [] : [{ ms, before: text }];
  });
  gaps.sort((one, other) => other.ms - one.ms);
  return { oldMs, newMs: oldMs === null ? null : kexecMs - oldMs, gaps: gaps.slice(0, mostGaps) };
}
