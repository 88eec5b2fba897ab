// SPDX-License-Identifier: Apache-2.0
/** One live update in text: how it ended, its phases, a timeline, and what became of machines and of what was preserved. */
import { BlackoutPart, type MachineRun, type Outcome, type Update } from '../interface/agent.generated.ts';
import type { Screen, Tone } from './screen.ts';
import { perhaps, spreadWords, stageTones, stageWords, wayWords } from './words/machines.ts';
import { count, duration, exactDuration, size, time, words } from './words/quantities.ts';

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

export function outcomeTone(update: Pick<Update, 'outcome' | 'carried' | 'machines'>): Tone {
  if (update.outcome === null) return 'plain';
  return update.outcome === 'updated' && hasLosses(update) ? 'bad' : outcomeTones[update.outcome];
}

/** The outcome, which for an update with losses is never the good news alone. */
function headline(update: Update): string {
  const { outcome, carried, machines } = update;
  if (outcome !== 'updated' || !hasLosses(update)) return outcomeWords(outcome);
  const part = (number: number, all: number, noun: string, what: string): string[] =>
    number === 0 ? [] : [`${number} of ${count(all, noun)} ${what}`];
  const [losses, down] = [lossesOf(update).length, stopped(update).length];
  const parts = [
    ...part(down, machines.length, 'machine', down === 1 ? 'is not running' : 'are not running'),
    ...part(losses, carried.length, 'descriptor', `${losses === 1 ? 'is' : 'are'} missing or different`),
  ];
  return `updated, but ${parts.join(' and ')}`;
}

/** Machines that should run and do not; those that were left behind were meant to be. */
function stopped({ machines }: Pick<Update, 'machines'>): Update['machines'] {
  return machines.filter(
    ({ stage }) => stage !== 'resumed' && stage !== 'running' && stage !== 'left_behind',
  );
}

/** Whether an update that ended as *updated* did not carry everything over. */
export function hasLosses(update: Pick<Update, 'carried' | 'machines'>): boolean {
  return lossesOf(update).length > 0 || stopped(update).length > 0;
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
      phase.durationUs === null ? 'unknown' : duration(phase.durationUs),
      bar(phase.startedAtUs, phase.durationUs ?? 0, startedAtUs, totalUs),
    ]),
  );
}

/** What a machine's blackout was made of, part by part; several pieces of one part are one. */
function partsOf({ parts }: MachineRun): string[] {
  return BlackoutPart.options.map((name) => {
    const pieces = parts.filter(({ part }) => part === name);
    return pieces.length === 0 ? '' : duration(pieces.reduce((sum, { durationUs }) => sum + durationUs, 0));
  });
}

async function showMachines(screen: Screen, { machines }: Update): Promise<void> {
  if (machines.length === 0) return;
  const tone = (row: number): Tone => stageTones[machines[row]?.stage ?? 'lost'];
  screen.line();
  await screen.table(
    ['machine', 'pid', 'way', 'ended as', 'brownout', 'blackout', 'reason'],
    machines.map((machine) => [
      machine.name,
      machine.newPid === null ? String(machine.pid) : `${machine.pid}, then ${machine.newPid}`,
      wayWords[machine.way],
      stageWords[machine.stage],
      perhaps(machine.brownoutUs),
      perhaps(machine.blackoutUs),
      machine.detail,
    ]),
    tone,
  );
  for (const { name, stage, failedAt } of machines) {
    if (failedAt === null || (stage !== 'held' && stage !== 'lost')) continue;
    screen.line(`${name} failed at this instruction of its resume program: ${failedAt}`);
  }
  const measured = machines.filter(({ parts }) => parts.length > 0);
  if (measured.length > 0) {
    screen.line();
    await screen.table(
      ['blackout of', ...BlackoutPart.options],
      measured.map((machine) => [machine.name, ...partsOf(machine)]),
    );
  }
  await showWaits(screen, machines);
}

/** What each machine waited for on its way back. Times count from the first machine that was stopped. */
async function showWaits(screen: Screen, machines: Update['machines']): Promise<void> {
  const rows = machines.flatMap(({ name, waits }) =>
    (waits ?? []).map(({ what, startedAtUs, durationUs }) => [
      ...[name, what, exactDuration(startedAtUs)],
      durationUs === null ? 'unknown' : exactDuration(durationUs),
    ]),
  );
  if (rows.length === 0) return;
  screen.line();
  await screen.table(['machine', 'waited for', 'after', 'took'], rows);
}

/** What the next kernel's own boot took time for, by its log. Times count from the start of that kernel. */
async function showBoot(screen: Screen, { bootStretches }: Update): Promise<void> {
  if (bootStretches === null || bootStretches.length === 0) return;
  screen.line();
  await screen.table(
    ['boot of the kernel', 'after', 'took'],
    bootStretches.map(({ what, startedAtUs, durationUs }) => [
      what,
      startedAtUs === null ? '' : exactDuration(startedAtUs),
      exactDuration(durationUs),
    ]),
  );
}

/** When each instruction of the resume programs was done. Times count from the first machine that was stopped. */
async function showInstructions(screen: Screen, { machines }: Update): Promise<void> {
  const rows = machines.flatMap(({ name, instructions }) =>
    (instructions ?? []).map(({ what, times, doneAtUs }) => [
      ...[name, exactDuration(doneAtUs), times === 1 ? what : `${what} (${times} times)`],
    ]),
  );
  screen.line();
  if (rows.length === 0) screen.line('The record has no times of instructions.');
  else await screen.table(['machine', 'done after', 'instruction'], rows);
}

/** What made the kernel refuse, in a line. */
function refusal({ refusedBy }: Update): [string, string][] {
  if (refusedBy === null) return [];
  const { session, token, label, handler, phase, errno } = refusedBy;
  const place = `token ${token}${session === null ? '' : ` of session "${session}"`}`;
  return [
    ['Refused by', `${label === '' ? place : `${label} (${place})`}: ${errno} from ${handler}, in ${phase}`],
  ];
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
  if (outcome !== null) parts.push(`${losses.length} missing or different`);
  screen.line(`Preserved: ${count(carried.length, 'descriptor')}, ${parts.join(', ')}.`);
  if (losses.length === 0) return;
  screen.line();
  await screen.table(
    ['loss', 'session', 'token', 'label', 'size', 'reason'],
    losses.map((lost) => [lost.verdict, lost.session, lost.token, lost.label, size(lost.size), lost.reason]),
    () => 'bad',
  );
}

/** @param instructions whether the time of each instruction is wanted, too */
export async function showUpdate(screen: Screen, update: Update, instructions = false): Promise<void> {
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
    ...(update.blackouts === null ? [] : ([['Of machines', spreadWords(update.blackouts)]] as const)),
    ...refusal(update),
  ]);
  await showPhases(screen, update);
  await showMachines(screen, update);
  await showBoot(screen, update);
  if (instructions) await showInstructions(screen, update);
  await showCarried(screen, update);
}
