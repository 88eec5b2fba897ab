// SPDX-License-Identifier: Apache-2.0
/**
 * The end of a live update, in the next kernel or in the one it did not leave. Machines are entered as they run,
 * sessions are finished and built again, and the outcome is decided and written down.
 */
import { counted } from '../../host/plain-words.ts';
import { saidBy } from '../../host/said-by.ts';
import type { Carried, Phase, Update } from '../../interface/agent.generated.ts';
import { bootStretches } from '../../kernel/boot-stretches.ts';
import { readKernelRecords } from '../../kernel/log.ts';
import { formatToken } from '../../liveupdate/tokens.ts';
import { measuredSpread } from '../record/blackout-spread.ts';
import { inventoryOf } from '../record/inventory.ts';
import { withPhase } from '../record/phases.ts';
import type { ProgressBoard } from '../record/progress.ts';
import { ended, explainVerdict, lostDescriptors, stayed } from '../record/record.ts';
import { refusedToReturn } from '../record/refused.ts';
import type { UpdateContext } from '../record/update-context.ts';
import { type HandoverTaken, missingKey, type Past } from './arrival.ts';
import { type ArrivingSteps, noteResults } from './arriving-steps.ts';
import { finishSessions } from './finish-sessions.ts';
import { finishIndex, keepHeld, markSettled, mayBeInIndex } from './keep-held.ts';
import {
  aboutMachines,
  cameAtLast,
  closeLeftBehind,
  enterMachines,
  hostBlackoutUs,
  machinesAfter,
  noteMachines,
  noteStopped,
} from './machines-after.ts';
import { decideOutcome, type Evidence } from './outcome.ts';

/** Settles an update of this boot that no agent ended, and undoes what it left behind. */
export async function settleInterrupted(context: UpdateContext, { unsettled }: Past): Promise<void> {
  const { kernel, history, loader, nowUs, log } = context;
  if (unsettled === null || unsettled.record.fromBootId !== kernel.facts.bootId) return;
  const { outcome, reason } = decideOutcome(unsettled.record, unsettled, await observe(context, null));
  // The index session ended with the agent that held it; a loaded kernel does not.
  if (loader.loaded !== null) await loader.unload(null);
  history.settled(ended(stayedIfHeld(context, unsettled.record), outcome, reason, nowUs()));
  log('warning', 'an interrupted live update was settled', { update: unsettled.record.id, outcome, reason });
}

/** Without a service manager the sessions ended with the agent that held them. */
function stayedIfHeld({ sessions }: UpdateContext, record: Update): Update {
  const held = new Set(
    sessions
      .list()
      .flatMap(({ name, files, inBoxes }) =>
        [...files.keys(), ...inBoxes].map((token) => missingKey(name, formatToken(token))),
      ),
  );
  const carried = stayed(record).carried.map((each) =>
    held.has(missingKey(each.session, each.token))
      ? each
      : { ...each, verdict: 'missing' as const, reason: 'lost: it went with the agent that held it' },
  );
  return { ...record, carried };
}

/**
 * Completes what `retrieveAll` began, and settles the update. The host is in phase *normal* afterwards, also if that
 * fails: acts are refused in any other phase, so nobody could mend anything. The index is kept then.
 *
 * @throws Error of what failed
 */
export async function completeArrival(
  context: UpdateContext,
  board: ProgressBoard,
  past: Past,
  arrived: HandoverTaken,
): Promise<void> {
  const { phases, unfinishedIndex } = context;
  try {
    await complete(context, board, past, arrived);
  } catch (error) {
    // One that is just being started would find that it is settled, and be held.
    await arrived.resuming?.done.catch(() => {});
    if (arrived.index) {
      unfinishedIndex.keep(arrived.index.session, `the update could not be settled: ${saidBy(error)}`);
      await markSettled(context, arrived.index);
    }
    throw error;
  } finally {
    if (phases.phase === 'resuming') phases.enter('finishing');
    if (phases.phase !== 'normal') phases.enter('normal');
  }
}

async function complete(
  context: UpdateContext,
  board: ProgressBoard,
  past: Past,
  arrived: HandoverTaken,
): Promise<void> {
  const { phases, sessions, history, log } = context;
  let { record } = arrived;
  const { clock, resuming, steps } = arrived;
  const enter = (phase: Phase, atUs = clock.nowUs()): void => {
    phases.enter(phase, atUs);
    if (record) record = { ...record, phases: withPhase(record.phases, phase, phases.startedAtUs) };
  };
  enter('resuming', resuming?.retrievedAtUs);
  const notEntered = await enterMachines(context, arrived, record);
  const resumed = (await resuming?.done) ?? null;
  if (record && resumed) {
    const machines = machinesAfter(record, arrived.index, cameAtLast(context, resumed));
    record = { ...record, machines };
  }
  enter('finishing', resumed?.times.resumedAtUs);
  const { after, problems } = await finishSessions(context, arrived, record);
  problems.unshift(...notEntered);
  const last = await keepHeld(context, resumed?.held ?? []);
  problems.push(...(await closeLeftBehind(context, record)));
  if (arrived.index?.record === null) last.push(...mayBeInIndex(context));
  problems.push(...last);
  const observed = await observe(context, arrived);
  if (record) {
    const settled = settleRecord(context, record, arrived, observed, after, problems);
    record = { ...settled, phases: withPhase(settled.phases, 'normal', clock.nowUs()) };
    // The index is what proves that the kexec worked.
    if (arrived.index?.record) await noteResultsOrSay(context, record, steps);
  }
  // From here on an operator may try machines again, whatever becomes of the record.
  if (arrived.index) await markSettled(context, arrived.index);
  phases.enter('normal');
  if (record) {
    if (!isKnown(context, record.id)) {
      history.started(record, {
        message: 'known only from the index session: the journal has no trace of it',
      });
    }
    history.settled(record);
    log(record.outcome === 'updated' ? 'info' : 'error', `live update ${record.outcome}`, {
      update: record.id,
      reason: record.reason,
    });
    board.settle(record);
  }
  if (record) noteMachines(context, record, resumed);
  if (record) noteStopped(context, record.id, arrived.index);
  noteLosses(context, past, arrived);
  // Only now: until the end is written, another agent must be able to find it.
  context.journal.writeAll();
  if (arrived.index) await finishIndex(context, arrived.index, last);
  const { name, parameters } = inventoryOf(sessions);
  context.journal.remember(name, { parameters });
}

/** Without its results the update is still settled: what they say is in its record too. */
async function noteResultsOrSay(context: UpdateContext, record: Update, steps: ArrivingSteps): Promise<void> {
  try {
    await noteResults(context, record, steps.results);
  } catch (error) {
    context.log('error', 'the results of steps could not be written', { problem: saidBy(error) });
  }
}

function isKnown({ history }: UpdateContext, id: string): boolean {
  try {
    history.get(id);
    return true;
  } catch {
    return false;
  }
}

/** What is said of a descriptor whose session is in the kernel, for all that is known. */
const unlookedAt = 'not retrieved: its session could not be looked at';

function settleRecord(
  context: UpdateContext,
  record: Update,
  arrived: HandoverTaken,
  observed: Evidence,
  after: readonly Carried[],
  problems: readonly string[],
): Update {
  const { outcome, reason } = decideOutcome(
    record,
    { announced: arrived.announced, arrived: arrived.arrivedBefore },
    observed,
  );
  const came = new Map(after.map((each) => [missingKey(each.session, each.token), each]));
  const expected = record.carried.map((before) => {
    const found = came.get(missingKey(before.session, before.token));
    if (found) return againstRecord(before, found);
    const held = context.sessions.has(before.session) ? context.sessions.get(before.session) : null;
    const token = BigInt(before.token);
    if (held?.files.has(token) || held?.inBoxes.has(token)) {
      // Its contents could not be read; why is among the problems.
      return {
        ...before,
        digestAfter: null,
        verdict: 'unchecked' as const,
        reason: 'it came through, and could not be compared',
      };
    }
    const unread = held !== null && held.manifest === null;
    const absent = arrived.absent.get(before.session) ?? null;
    const why = unread
      ? 'not retrieved: the manifest of its session cannot be read'
      : arrived.unlooked.has(before.session)
        ? `${unlookedAt}: ${absent}. Its memory is still in the kernel`
        : `lost: ${absent ?? 'the session came without it'}`;
    const lost =
      outcome === 'cold_boot' ? 'lost: the host started without a handover and its memory is gone' : why;
    return { ...before, digestAfter: null, verdict: 'missing' as const, reason: lost };
  });
  const known = new Set(expected.map(({ session, token }) => missingKey(session, token)));
  const carried = [
    ...expected,
    ...after.filter(({ session, token }) => !known.has(missingKey(session, token))),
  ];
  const few = (is: (each: Carried) => boolean, one: string, many: string): string => {
    const number = carried.filter(is).length;
    if (number === 0) return '';
    return `${number} of ${counted(carried.length, 'descriptor')} ${number === 1 ? one : many}`;
  };
  const isUnlooked = ({ reason: why }: Carried): boolean => why.startsWith(unlookedAt);
  const arrivedRelease = context.kernel.facts.release;
  const notes = [
    outcome === 'updated' && arrivedRelease !== record.toRelease
      ? `the host runs ${arrivedRelease}, and not ${record.toRelease} as planned`
      : '',
    few((each) => each.verdict === 'missing' && !isUnlooked(each), 'is lost', 'are lost'),
    few(isUnlooked, 'could not be looked at', 'could not be looked at'),
    few(({ verdict }) => verdict === 'differs', 'differs from its digest', 'differ from their digests'),
    ...aboutMachines(record.machines),
    outcome === 'updated' && !arrived.clock.exact
      ? 'the clock across the kexec is good to about a second'
      : '',
    ...problems,
  ].filter(Boolean);
  const blackoutUs = outcome === 'updated' ? hostBlackoutUs(record, arrived) : null;
  return {
    ...ended(record, outcome, [reason, ...notes].join('; '), context.nowUs()),
    carried,
    refusedBy: refusedToReturn(carried, (...place) => arrived.missing.get(missingKey(...place))),
    arrivedRelease,
    toBootId: context.kernel.facts.bootId,
    numberAfter: context.kernel.number,
    blackoutUs: blackoutUs === null ? null : Math.max(0, blackoutUs),
    blackouts: measuredSpread(record.machines),
    bootStretches: observed.indexArrived ? bootStretches(readKernelRecords(context.paths) ?? []) : null,
  };
}

/** The record says what there was before the kexec, whatever has happened to the manifest since. */
function againstRecord(before: Carried, found: Carried): Carried {
  const { digestBefore } = before;
  if (digestBefore === null || found.digestAfter === null || found.digestAfter === digestBefore) {
    return { ...found, digestBefore: found.digestBefore ?? digestBefore };
  }
  return { ...found, digestBefore, verdict: 'differs', reason: explainVerdict('differs') };
}

/** Sessions that are gone are named, empty ones too, and also where there is no update to blame. */
function noteLosses(context: UpdateContext, past: Past, { absent: all, unlooked }: HandoverTaken): void {
  const absent = new Map([...all].filter(([name]) => !unlooked.has(name)));
  if (unlooked.size > 0)
    context.log('warning', 'sessions could not be looked at, and may be in the kernel still', {
      sessions: [...unlooked],
    });
  const lost = lostDescriptors(
    past.inventory.sessions.filter(({ name }) => absent.has(name)),
    'the session is gone',
  );
  if (absent.size === 0) return;
  const names = [...absent.keys()];
  context.log('warning', 'sessions are gone', { sessions: names, descriptors: lost.length });
  context.journal.remember('sessions.lost', {
    message: `these sessions are gone: ${[...absent].map(([name, why]) => `${name} (${why})`).join(', ')}`,
    parameters: { sessions: names, descriptors: lost },
  });
}

async function observe({ kernel }: UpdateContext, arrived: HandoverTaken | null): Promise<Evidence> {
  const { availability, explanation } = await kernel.availability();
  return {
    bootId: kernel.facts.bootId,
    number: kernel.number,
    handoverFound: kernel.handoverFound,
    handoverRefused: kernel.log?.refused ?? [],
    available: availability === 'available',
    explanation,
    indexArrived: arrived?.index?.record !== undefined && arrived.index.record !== null,
    indexProblem: arrived?.index?.problem ?? null,
    sessionsAbsent: arrived === null ? [] : expectedAbsent(arrived),
  };
}

/** Sessions that the index names and the kernel did not hand over. */
function expectedAbsent({ index, absent }: HandoverTaken): string[] {
  return (index?.record?.sessions ?? [])
    .filter(({ name }) => absent.has(name))
    .map(({ name }) => `${name} (${absent.get(name)})`);
}
