// SPDX-License-Identifier: Apache-2.0
/**
 * The carrier's log: what it did and when, one event a line as JSON. It is written while this is read, so its last
 * line may be torn. A line that does not fit is passed over: the log only tells times and reasons.
 */
import { join } from 'node:path';
import * as v from 'valibot';
import {
  type RestartInstruction,
  type RestartLog,
  type RestartPoint,
  type RestartWait,
  restartPoints,
} from '../../adoption/restore.ts';
import { visible } from '../../host/plain-words.ts';
import { readBounded } from '../../host/read-bounded.ts';
import { instructionRows, toldToRun } from './instructions.ts';

export interface LoggedMachine extends RestartLog {
  /** When it came to each point, ns of `CLOCK_BOOTTIME`. */
  readonly reached: ReadonlyMap<RestartPoint, number>;
  /** Why its worker failed; null if it did not. */
  readonly failed: string | null;
  /** What it waits for now; null if it does not, or the carrier is through with it. */
  readonly waits: string | null;
}

export interface CarrierLog {
  /** When userspace began, ns of `CLOCK_BOOTTIME`; null if the log does not say. */
  readonly bornNs: number | null;
  /** When all files of all sessions were retrieved, likewise. */
  readonly retrievedNs: number | null;
  /** Why the carrier itself failed; null if it did not. */
  readonly failed: string | null;
  /** By the machine's number in the resume program. */
  readonly machines: ReadonlyMap<number, LoggedMachine>;
}

/** In bytes: every machine of a host takes some tens of thousand. */
const mostBytes = 16 * 1024 * 1024;
const mostLines = 200_000;
const longestLine = 16_384;
/** What of a text is shown to people, in characters. */
const longestText = 300;
/** Of one machine: a program has some needs, two sockets to wait for, and some dozens of instructions. */
const mostWaits = 64;
const mostProblems = 4;
const mostInstructions = 100;

const Line = v.object({
  ns: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  machine: v.nullable(v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(255))),
  event: v.pipe(v.string(), v.maxLength(64)),
  text: v.optional(v.string(), ''),
});
type Line = v.InferOutput<typeof Line>;

/** @param nowNs what `CLOCK_BOOTTIME` says: a line from later than that does not fit */
export function readLog(directory: string, nowNs: bigint): CarrierLog {
  const found = readBounded(join(directory, 'log'), mostBytes);
  const log = new LogReader();
  for (const text of linesOf(found?.text ?? '')) {
    const line = parseLine(text);
    if (line !== null && line.ns <= nowNs) log.take(line);
  }
  for (const machine of log.machines.values()) machine.end();
  return log;
}

function* linesOf(text: string): Generator<string> {
  let from = 0;
  for (let count = 0; count < mostLines && from < text.length; count += 1) {
    const end = text.indexOf('\n', from);
    if (end < 0) return;
    if (end - from <= longestLine) yield text.slice(from, end);
    from = end + 1;
  }
}

function parseLine(text: string): Line | null {
  try {
    const line = v.safeParse(Line, JSON.parse(text));
    return line.success ? line.output : null;
  } catch {
    return null;
  }
}

/** A text as one short line. The carrier writes each byte as a character of its own. */
function shown(text: string): string {
  const whole = /^[\0-\xff]*$/.test(text) ? Buffer.from(text, 'latin1').toString('utf8') : text;
  return visible(whole.replace(/\p{Cc}+/gu, ' ').slice(0, longestText));
}

const withText = (name: string, text: string): string => (text === '' ? name : `${name} ${shown(text)}`);

class MachineReader implements LoggedMachine {
  readonly reached = new Map<RestartPoint, number>();
  readonly waited: RestartWait[] = [];
  readonly done: RestartInstruction[] = [];
  waits: string | null = null;
  #failed: string | null = null;
  /** What went wrong before and ended nothing, such as a module that could not be loaded. */
  readonly #problems: string[] = [];
  /** Since when it waits. */
  #waitsFromNs = 0;
  /** When its guest was told to run. */
  #toldNs: number | null = null;
  /** The instruction at which it failed, if the log says it. */
  #at: string | null = null;

  get failed(): string | null {
    return this.#failed === null ? null : [this.#failed, ...this.#problems].join('; ');
  }

  get failedAt(): string | null {
    if (this.#failed === null) return null;
    const last = this.done.at(-1);
    return this.#at ?? (last === undefined ? null : `after ${last.what}`);
  }

  take({ ns, event, text }: Omit<Line, 'machine'>): void {
    const point = restartPoints.find((each) => each === event);
    if (event === toldToRun) this.#toldNs ??= ns;
    if (point !== undefined && !this.reached.has(point))
      this.reached.set(point, point === 'running' ? (this.#toldNs ?? ns) : ns);
    if (event === 'at') this.#at ??= shown(text);
    if (event === 'failed') this.#failed ??= shown(text);
    if (event === 'problem' && this.#problems.length < mostProblems) this.#problems.push(shown(text));
    if (Object.hasOwn(instructionRows, event)) this.#takeInstruction(withText(event, text), ns);
    // Any other event tells that the wait is over.
    this.#endWait(ns);
    if (event !== 'waits') return;
    this.waits = shown(text);
    this.#waitsFromNs = ns;
  }

  /** Takes in the wait that has not ended. */
  end(): void {
    if (this.waits !== null) this.#takeWait(null);
  }

  #endWait(ns: number): void {
    if (this.waits !== null) this.#takeWait(Math.max(ns, this.#waitsFromNs));
    this.waits = null;
  }

  #takeWait(untilNs: number | null): void {
    if (this.waited.length >= mostWaits) return;
    const what = (this.waits ?? '').replace(/^for /, '');
    this.waited.push({ what, fromNs: this.#waitsFromNs, untilNs });
  }

  #takeInstruction(what: string, doneNs: number): void {
    const last = this.done.at(-1);
    if (last?.what === what) this.done.splice(-1, 1, { what, times: last.times + 1, doneNs });
    else if (this.done.length < mostInstructions) this.done.push({ what, times: 1, doneNs });
  }
}

class LogReader implements CarrierLog {
  bornNs: number | null = null;
  retrievedNs: number | null = null;
  failed: string | null = null;
  readonly machines = new Map<number, MachineReader>();

  take({ ns, machine: number, event, text }: Line): void {
    if (number === null) {
      if (event === 'born') this.bornNs ??= ns;
      if (event === 'retrieved') this.retrievedNs ??= ns;
      if (event === 'failed') this.failed ??= shown(text);
      return;
    }
    const machine = this.machines.get(number) ?? new MachineReader();
    this.machines.set(number, machine);
    machine.take({ ns, event, text });
  }
}
