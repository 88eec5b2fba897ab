// SPDX-License-Identifier: Apache-2.0
/** One live update in text: how it ended, its phases, a timeline, and what became of what was preserved. */
import type { Outcome, Update } from '../interface/agent.generated.ts';
import type { Screen, Tone } from './screen.ts';
import { count, duration, size, time, words } from './units.ts';

const outcomeTones: Readonly<Record<Outcome, Tone>> = {
  updated: 'good',
  cold_boot: 'bad',
  returned: 'warning',
  aborted: 'warning',
  unknown: 'bad',
};

/** @param outcome null while the update is under way */
export function outcomeWords(outcome: Outcome | null): string {
  return outcome === null ? 'under way' : words(outcome);
}

export function outcomeTone(update: Pick<Update, 'outcome' | 'carried'>): Tone {
  if (update.outcome === null) return 'plain';
  return update.outcome === 'updated' && lossesOf(update).length > 0 ? 'bad' : outcomeTones[update.outcome];
}

/** The outcome, which for an update with losses is never the good news alone. */
function headline(update: Update): string {
  const { outcome, carried } = update;
  const losses = lossesOf(update).length;
  if (outcome !== 'updated' || losses === 0) return outcomeWords(outcome);
  const verb = losses === 1 ? 'is' : 'are';
  return `updated, but ${losses} of ${count(carried.length, 'descriptor')} ${verb} lost or different`;
}

/** What was preserved and is not there any more, or is not the same. */
export function lossesOf({ carried }: Pick<Update, 'carried'>): Update['carried'] {
  return carried.filter(({ verdict }) => verdict === 'missing' || verdict === 'differs');
}

const barWidth = 40;

/** A phase's place in the whole, drawn with as many characters as it took of the time; at least one. */
function bar(fromUs: number, durationUs: number, startUs: number, totalUs: number): string {
  if (totalUs <= 0) return '';
  const at = (us: number): number => Math.round((us / totalUs) * barWidth);
  const begin = Math.min(at(fromUs - startUs), barWidth - 1);
  const length = Math.max(1, Math.min(at(fromUs - startUs + durationUs), barWidth) - begin);
  return `|${' '.repeat(begin)}${'='.repeat(length)}${' '.repeat(barWidth - begin - length)}|`;
}

async function showPhases(screen: Screen, { phases, startedAtUs, endedAtUs }: Update): Promise<void> {
  if (phases.length === 0) return;
  const ends = phases.map((phase) => phase.startedAtUs + (phase.durationUs ?? 0));
  const totalUs = (endedAtUs ?? Math.max(...ends)) - startedAtUs;
  screen.line();
  await screen.table(
    ['phase', 'after', 'took', 'timeline'],
    phases.map((phase) => [
      phase.phase,
      duration(Math.max(0, phase.startedAtUs - startedAtUs)),
      phase.durationUs === null ? 'not known' : duration(phase.durationUs),
      bar(phase.startedAtUs, phase.durationUs ?? 0, startedAtUs, totalUs),
    ]),
  );
}

async function showCarried(screen: Screen, update: Update): Promise<void> {
  const { carried, outcome } = update;
  if (carried.length === 0) {
    screen.line('Nothing was preserved.');
    return;
  }
  const losses = lossesOf(update);
  const matching = carried.filter(({ verdict }) => verdict === 'match').length;
  const unchecked = carried.filter(({ verdict }) => verdict === 'unchecked').length;
  screen.line();
  const parts = [`${matching} with the same contents`, `${unchecked} not checked`];
  if (outcome !== null) parts.push(`${losses.length} lost or different`);
  screen.line(`Preserved: ${count(carried.length, 'descriptor')}, ${parts.join(', ')}.`);
  if (losses.length === 0) return;
  screen.line();
  await screen.table(
    ['lost', 'session', 'token', 'label', 'size', 'because'],
    losses.map((lost) => [lost.verdict, lost.session, lost.token, lost.label, size(lost.size), lost.reason]),
    () => 'bad',
  );
}

export async function showUpdate(screen: Screen, update: Update): Promise<void> {
  const { reason, fromRelease, toRelease, arrivedRelease, numberBefore, numberAfter } = update;
  const arrived = arrivedRelease === null ? '' : `; the host runs ${arrivedRelease}`;
  screen.toned(outcomeTone(update), `${headline(update)}${reason === '' ? '' : `: ${reason}`}`);
  const took = update.endedAtUs === null ? '' : `, took ${duration(update.endedAtUs - update.startedAtUs)}`;
  screen.facts([
    ['Update', update.id],
    ['Kernel', `from ${fromRelease} to ${toRelease}${arrived}`],
    [
      'Live update number',
      numberAfter === null ? `${numberBefore} before` : `${numberBefore} before, ${numberAfter} after`,
    ],
    [
      'Started',
      `${time(update.startedAtUs)} by ${update.startedBy.user} (${update.startedBy.command})${took}`,
    ],
    ['Blackout', update.blackoutUs === null ? 'not measured' : duration(update.blackoutUs)],
  ]);
  await showPhases(screen, update);
  await showCarried(screen, update);
}
