// SPDX-License-Identifier: Apache-2.0
/** What a live update looks like in a terminal: the plan before it, the timeline and the digests after. */

import type { Plan, Session, Update } from '@luo-console/agent/interface';
import { formatElapsed } from '../../bootstrap/terminal.mjs';

const barWidth = 40;

/** What has to be known of a session to compare what was in it. */
export interface Preserved {
  readonly name: string;
  readonly descriptors: readonly Pick<Session['descriptors'][number], 'token' | 'size'>[];
}

/** One preserved memfd: what was in it before, as the host's sha256sum saw it, and what came through. */
export interface Compared {
  readonly session: string;
  readonly token: string;
  /** Bytes. */
  readonly size: number;
  readonly before: string;
  /** Undefined if it did not come through. */
  readonly after: string | undefined;
}

function elapsed(microseconds: number): string {
  return formatElapsed(microseconds / 1000);
}

/** The plan, step by step with what each risks, and the checks that did not pass. */
export function planLines(plan: Plan): string[] {
  const lines = [`Plan: ${plan.kernel.release}, ${plan.steps.length} steps`];
  for (const [index, step] of plan.steps.entries()) {
    lines.push(`  ${String(index + 1).padStart(2)}. ${step.phase.padEnd(11)} ${step.title}`);
    lines.push(`      risk: ${step.risk}`);
  }
  for (const check of plan.checks.filter(({ verdict }) => verdict !== 'pass')) {
    lines.push(`  ${check.verdict === 'fail' ? 'FAILS' : 'warning'}  ${check.name}: ${check.detail}`);
  }
  return lines;
}

/** What somebody who reads along can still do once an update runs. */
export function wayOutLines(host: string, graceSeconds: number): string[] {
  return [
    `Once the kexec is announced, it waits ${graceSeconds} s. To abort the update, run in another terminal:`,
    `    npm run lab -- sh --name ${host} -- luocon abort`,
    'Ctrl-C only leaves: the host goes on, and this command follows it again.',
  ];
}

/** The phases of an update with their durations, to scale. */
export function timelineLines(update: Update): string[] {
  const begin = update.startedAtUs;
  const ends = update.phases.map((phase) => phase.startedAtUs + (phase.durationUs ?? 0));
  const length = Math.max(1, ...ends.map((end) => end - begin), (update.endedAtUs ?? begin) - begin);
  const column = (atUs: number): number => Math.round(((atUs - begin) / length) * barWidth);
  const lines = update.phases.map((phase) => {
    const from = Math.max(0, Math.min(barWidth - 1, column(phase.startedAtUs)));
    const to = Math.max(from + 1, Math.min(barWidth, column(phase.startedAtUs + (phase.durationUs ?? 0))));
    const bar = `${' '.repeat(from)}${'█'.repeat(to - from)}`.padEnd(barWidth);
    const duration = phase.durationUs === null ? 'not known' : elapsed(phase.durationUs);
    return `  ${phase.phase.padEnd(11)} ${bar} ${duration}`;
  });
  if (update.blackoutUs !== null) lines.push(`  blackout ${elapsed(update.blackoutUs)}`);
  return lines;
}

/** How an update ended, in one or two lines. */
export function outcomeLines(update: Update): string[] {
  const releases = `${update.fromRelease} to ${update.arrivedRelease ?? update.toRelease}`;
  const lines = [`Outcome: ${update.outcome ?? 'not settled'}, ${releases}`];
  if (update.reason) lines.push(`  ${update.reason}`);
  return lines;
}

/** Every preserved memfd with its digests before and after. */
export function digestLines(compared: readonly Compared[]): string[] {
  return compared.map(({ session, token, size, before, after }) => {
    const verdict = after === undefined ? 'MISSING' : after === before ? 'the same' : 'DIFFERS';
    const what = `${session} ${token}`.padEnd(16);
    const digests = `${before.slice(0, 16)}… ${after === undefined ? '' : `${after.slice(0, 16)}… `}`;
    return `  ${what} ${String(size / 1024 / 1024).padStart(4)} MiB  ${digests}${verdict}`;
  });
}

/**
 * Puts what was preserved beside what came through.
 *
 * @param before sessions as they were preserved
 * @param known digest of each descriptor before, under `SESSION TOKEN`
 * @param after digest of each after the update, under the same names
 */
export function compare(
  before: readonly Preserved[],
  known: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): Compared[] {
  return before.flatMap((session) =>
    session.descriptors.map(({ token, size }) => {
      const key = `${session.name} ${token}`;
      return { session: session.name, token, size, before: known.get(key) ?? '', after: after.get(key) };
    }),
  );
}
