// SPDX-License-Identifier: Apache-2.0
/**
 * Where the kernels' time goes. The old kernel's log, as the serial console has it, divides the part *kexec* by the line
 * "Starting new kernel". What comes behind it is the next kernel's, before its clock runs. What that kernel's own boot took
 * time for is in the update's record.
 */
import type { BootStretch, Update } from '@luo-console/agent/interface';

export interface KernelTimes {
  /** Of the part *kexec*, in ms: in the old kernel, and in the next one. Null if the log does not say. */
  readonly oldMs: number | null;
  readonly newMs: number | null;
  /** Of the next kernel's own boot, as its agent read them. */
  readonly stretches: readonly BootStretch[];
}

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
 * Reads the old kernel's log, and what the next one's agent made of the other.
 *
 * @param log of the serial console, from before the update until after it
 * @param kexecMs how long the part *kexec* took
 * @param markedAtUs when the old kernel's log got `clockMark`, µs since the epoch
 */
export function kernelTimes(log: string, update: Update, kexecMs: number, markedAtUs: number): KernelTimes {
  const at = log.search(/\[ *0\.000000\] Linux version /);
  const oldUs = oldKernelUs(linesOf(at < 0 ? log : log.slice(0, at)), update, markedAtUs);
  const oldMs = oldUs === null || oldUs < 0 || oldUs / 1000 > kexecMs ? null : oldUs / 1000;
  const stretches = update.bootStretches ?? [];
  return { oldMs, newMs: oldMs === null ? null : kexecMs - oldMs, stretches };
}
