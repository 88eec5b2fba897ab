// SPDX-License-Identifier: Apache-2.0
/**
 * The first thing an agent does: find out what brought the host here, and get the memory back. It looks for an
 * index session, then retrieves every session the index or the journal names. Digests, finishing and the
 * settlement come later (`settlement.ts`), once the memory is in hand.
 */
import { errnoOf, Refusal, type RefusalName } from '../../host/refusal.ts';
import { saidBy } from '../../host/said-by.ts';
import type { Update } from '../../interface/agent.generated.ts';
import { clocksOf, SurvivingClock } from '../../kernel/surviving-clock.ts';
import { agentItself } from '../../liveupdate/live-update-context.ts';
import { parseStoredName, sessionEntry } from '../../liveupdate/stored-names.ts';
import type { History } from '../record/history.ts';
import { type IncomingIndex, retrieveIndex } from '../record/incoming-index.ts';
import type { Inventory } from '../record/inventory.ts';
import { withPhase } from '../record/phases.ts';
import type { ProgressBoard } from '../record/progress.ts';
import type { UpdateContext } from '../record/update-context.ts';
import { ArrivingSteps } from './arriving-steps.ts';
import type { FirstThings } from './first-things.ts';
import { finishSettledIndex } from './keep-held.ts';
import { cameSoFar, machinesAfter } from './machines-after.ts';
import type { Resuming } from './resuming.ts';

/** What was known before anything was written in this boot. */
export interface Past {
  readonly inventory: Inventory;
  readonly unsettled: ReturnType<History['unsettled']>;
}

/** What the agent found and retrieved; null if there was nothing to do. */
export interface HandoverTaken {
  readonly index: IncomingIndex | null;
  /** The update that brought the host here, if it is known. */
  readonly record: Update | null;
  readonly announced: boolean;
  /** Whether an agent had found it in this kernel, or in one of an earlier boot. */
  readonly arrivedBefore: boolean;
  readonly jumpedAtUs: number | null;
  /** Sessions that should have come and did not, with the reason. */
  readonly absent: ReadonlyMap<string, string>;
  /** Those of them that could not be looked at: what is in them is still in the kernel. */
  readonly unlooked: ReadonlySet<string>;
  /** Descriptors that could not be retrieved: errno by session and token. */
  readonly missing: ReadonlyMap<string, string>;
  readonly retrievedAtUs: number;
  /** The machines that the update brought here, which are being brought back; null if there were none. */
  readonly resuming: Resuming | null;
  /** The clock that goes on from the kernel before, on which all times of the update are. */
  readonly clock: SurvivingClock;
  /** The steps of the plan that are done here. */
  readonly steps: ArrivingSteps;
}

/** What the first things found. */
export interface FirstFound extends Pick<FirstThings, 'resuming' | 'resumeLate'> {
  /** The index, if it was retrieved then or before. */
  readonly index: IncomingIndex | null;
}

/** How a descriptor is called in `missing`. */
export function missingKey(session: string, token: string): string {
  return `${session} ${token}`;
}

/**
 * Retrieves what the kernel before handed over. The host is in phase *retrieving* afterwards, or still in
 * *normal* if there was nothing to do.
 *
 * @param first what the first things found
 */
export async function retrieveAll(
  context: UpdateContext,
  board: ProgressBoard,
  past: Past,
  first: FirstFound,
): Promise<HandoverTaken | null> {
  const { sessions, phases, kernel } = context;
  const { bootId } = kernel.facts;
  const newBoot = past.inventory.bootId !== bootId;
  const unsettled = past.unsettled?.record.fromBootId === bootId ? null : past.unsettled;
  const expected = newBoot || first.index !== null || unsettled !== null;
  const index = first.index ?? (expected ? await retrieveIndexOrExplain(context) : null);
  // Also one that the first things had, and could not read: its machines are in nobody's hands yet.
  const late = index !== null && first.resuming === null;
  if (index !== null) context.unfinishedIndex.hold(index.session);
  const resuming = late ? await resumeLate(context, first, index) : first.resuming;
  const known = [...(index?.record?.sessions ?? []), ...past.inventory.sessions].map(({ name }) => name);
  const names = new Set(known.filter((name) => !sessions.has(name)));
  const incoming = sessions.list().filter(({ direction }) => direction === 'incoming');
  if (index === null && unsettled === null && incoming.length === 0 && names.size === 0) return null;

  const indexed = index?.record?.update ?? null;
  if (index !== null && indexed !== null && context.history.isSettled(indexed.id)) {
    // Settled already; only the last step, finishing the index, was not reached.
    await finishSettledIndex(context, index, context.history.get(indexed.id), await resuming?.done);
    return null;
  }
  if (indexed !== null) context.history.arrived(indexed.id, kernel.facts.release);
  const record = indexed ?? unsettled?.record ?? null;
  const clock = new SurvivingClock(
    clocksOf(context.native.kernel, context.paths.sys),
    index?.record?.clock ?? null,
  );
  const bootedAtUs = clock.startedAtUs();
  // Never before the phase it follows: the clock may have been set while the host was away.
  const bootingAtUs = Math.max(
    bootedAtUs,
    index?.record?.jumpedAtUs ?? 0,
    record?.phases.at(-1)?.startedAtUs ?? 0,
  );
  const steps = new ArrivingSteps(board, index?.record?.facts ?? null, () => clock.nowUs());
  const retrievingAtUs = Math.max(bootingAtUs, resuming?.beganAtUs ?? clock.nowUs());
  phases.enter('booting', bootingAtUs);
  let timed = record && { ...record, phases: withPhase(record.phases, 'booting', bootingAtUs) };
  await steps.do(
    { id: 'boot', session: null, update: timed, tookUs: retrievingAtUs - bootingAtUs },
    () => {},
  );
  phases.enter('retrieving', retrievingAtUs);
  if (timed) {
    timed = { ...timed, phases: withPhase(timed.phases, 'retrieving', retrievingAtUs) };
    timed = { ...timed, machines: machinesAfter(timed, index, resuming && cameSoFar(resuming)) };
  }
  const { absent, unlooked, missing } = await retrieveNamed(context, names, newBoot, steps, timed);
  for (const held of sessions.list()) {
    for (const entry of held.manifest?.entries() ?? []) {
      const token = BigInt(entry.token);
      // One that the service manager retrieved, or that was retrieved for its machine, was not taken in here.
      if (held.files.has(token) || held.inBoxes.has(token)) continue;
      missing.set(missingKey(held.name, entry.token), held.unretrieved.get(token) ?? 'ENOENT');
    }
  }
  return {
    index,
    record: timed,
    announced: past.unsettled?.announced ?? false,
    arrivedBefore: past.unsettled?.arrived ?? false,
    jumpedAtUs: index?.record?.jumpedAtUs ?? null,
    absent,
    unlooked,
    missing,
    retrievedAtUs: clock.nowUs(),
    resuming,
    clock,
    steps,
  };
}

/** Has the machines of an index brought back that only the second look retrieved. Their sessions are taken in. */
async function resumeLate(
  { sessions }: UpdateContext,
  first: FirstFound,
  index: IncomingIndex,
): Promise<Resuming | null> {
  const incoming = sessions
    .list()
    .flatMap(({ name, direction, descriptor }) =>
      direction === 'incoming' && descriptor !== null ? [{ name: sessionEntry(name), descriptor }] : [],
    );
  const { handed, resuming } = await first.resumeLate([
    { name: sessionEntry(index.name), descriptor: index.session },
    ...incoming,
  ]);
  for (const { name, descriptor } of handed) {
    const stored = parseStoredName(name);
    if (stored.kind !== 'session' || stored.session === index.name || sessions.has(stored.session)) continue;
    await sessions.takeBack(stored.session, descriptor);
  }
  return resuming;
}

async function retrieveIndexOrExplain(context: UpdateContext): Promise<IncomingIndex | null> {
  try {
    return await retrieveIndex(context);
  } catch (error) {
    context.log('error', 'the index session cannot be retrieved', { problem: String(error) });
    return null;
  }
}

const isRefusal = <K extends RefusalName>(error: unknown, refusal: K): error is Refusal<K> =>
  error instanceof Refusal && error.refusal === refusal;

/** Whether a session may still be in the kernel. Without a device nobody gets it out of there. */
function isUnlooked(error: unknown): boolean {
  if (isRefusal(error, 'SessionNotFound')) return false;
  return !isRefusal(error, 'NoLiveUpdate') || error.parameters.availability === 'available';
}

/** Retrieves the sessions of these names. Those that the plan knows are steps, also where they are in hand already. */
async function retrieveNamed(
  { sessions, descriptorStore, kernel, log }: UpdateContext,
  names: ReadonlySet<string>,
  newBoot: boolean,
  steps: ArrivingSteps,
  update: Update | null,
): Promise<{ absent: Map<string, string>; unlooked: Set<string>; missing: Map<string, string> }> {
  const absent = new Map<string, string>();
  const unlooked = new Set<string>();
  const missing = new Map<string, string>();
  const afresh = newBoot && kernel.number === 0 && kernel.handoverFound === false;
  const retrieve = async (name: string): Promise<void> => {
    if (afresh) throw new Refusal('SessionNotFound', { name });
    const retrieved = await sessions.retrieve(name, agentItself);
    for (const { token, errno } of retrieved.missing) missing.set(missingKey(name, token), errno);
    if (retrieved.problem !== null)
      log('warning', 'a session came through without a readable manifest', {
        session: name,
        problem: retrieved.problem,
      });
  };
  const explain = (error: unknown): string => {
    if (afresh) return 'the host started without a handover';
    if (isRefusal(error, 'SessionNotFound')) return 'the kernel has no session of that name';
    if (isRefusal(error, 'KernelCallFailed')) return error.parameters.errno;
    return errnoOf(error) ?? saidBy(error);
  };
  for (const name of steps.inOrder('retrieve', names)) {
    // One that was retrieved for its machine, or by the service manager, is in hand.
    const work = sessions.has(name) ? () => {} : () => retrieve(name);
    await steps.do({ id: 'retrieve', session: name, update }, work).catch((error: unknown) => {
      absent.set(name, explain(error));
      if (!afresh && isUnlooked(error)) unlooked.add(name);
    });
  }
  // What is in hand is in hand, whoever else has it.
  await descriptorStore.settled().catch((error: unknown) => {
    log('warning', 'it is not known whether the service manager keeps all', { problem: saidBy(error) });
  });
  return { absent, unlooked, missing };
}
