// SPDX-License-Identifier: Apache-2.0
/**
 * The carrier's log: what it did and when, one event a line as JSON. It is written while this is read, so its last
 * line may be torn. A line that does not fit is passed over: the log only tells times and reasons.
 */
import { join } from 'node:path';
import * as v from 'valibot';
import { type RestartPoint, restartPoints } from '../../adoption/restore.ts';
import { readBounded } from '../../host/read-bounded.ts';

export interface LoggedMachine {
  /** When it came to each point, ns of `CLOCK_BOOTTIME`. */
  readonly reached: ReadonlyMap<RestartPoint, number>;
  /** Why its worker failed; null if it did not. */
  readonly failed: string | null;
  /** What it waits for; null if it does not, or the carrier is through with it. */
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

/** A text as one short line. */
const shown = (text: string): string => text.replace(/\p{Cc}+/gu, ' ').slice(0, longestText);

class LogReader implements CarrierLog {
  bornNs: number | null = null;
  retrievedNs: number | null = null;
  failed: string | null = null;
  readonly machines = new Map<
    number,
    { reached: Map<RestartPoint, number>; failed: string | null; waits: string | null }
  >();

  take({ ns, machine: number, event, text }: Line): void {
    if (number === null) {
      if (event === 'born') this.bornNs ??= ns;
      if (event === 'retrieved') this.retrievedNs ??= ns;
      if (event === 'failed') this.failed ??= shown(text);
      return;
    }
    const machine = this.machines.get(number) ?? { reached: new Map(), failed: null, waits: null };
    this.machines.set(number, machine);
    const point = restartPoints.find((each) => each === event);
    if (point !== undefined && !machine.reached.has(point)) machine.reached.set(point, ns);
    if (event === 'failed') machine.failed ??= shown(text);
    // Any other event tells that the wait is over.
    machine.waits = event === 'waits' ? shown(text) : null;
  }
}
