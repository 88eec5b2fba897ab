// SPDX-License-Identifier: Apache-2.0
/**
 * Writing out before the kexec, and which machines it costs. A place to which only VMMs write, and that cannot be synced
 * or does not answer, is their machines' loss. So the policy of the update decides. Under *stop* it ends the update.
 * Under *leave* these machines run on here and are left behind. Everything else that is not synced ends the update.
 */
import { NotSaved } from '../../adoption/suspension.ts';
import { inTime } from '../../host/in-time.ts';
import { saidBy } from '../../host/said-by.ts';
import { writesByOthers } from '../../machines/written-places.ts';
import { LastSync, type SyncContext, type Unsynced } from './last-sync.ts';
import type { RunMachines } from './run-machines.ts';

/** The update as far as writing out is concerned. */
export interface WritingOut {
  readonly context: SyncContext;
  readonly facts: {
    readonly machines: readonly unknown[];
    readonly sessions: readonly { readonly attended: boolean }[];
  };
  readonly machines: Pick<RunMachines, 'leave'> & {
    /** Those that will still be carried over. */
    readonly coming: readonly {
      readonly machine: { readonly pid: number; readonly command: { readonly words: readonly string[] } };
    }[];
  };
  /** Fires when the update is aborted. */
  readonly signal: AbortSignal;
}

/** How long is waited while machines run, in ms. */
export interface PatientLimits {
  /** For each place of a VMM: there may be much to write, and nobody is held up. */
  readonly placeMs: number;
  /** For everything else, where a place of a VMM does not answer. Where each does, the time for one place. */
  readonly othersMs: number;
  /** For each place once more, after all was written: a guest may write much again. */
  readonly againMs: number;
}

const usualLimits: PatientLimits = { placeMs: 600_000, othersMs: 60_000, againMs: 60_000 };

/**
 * Writes out everything while the machines run.
 *
 * @returns what is left for when they are stopped
 * @throws NotSaved under the policy *stop*; Error that names what does not answer; the signal's reason
 */
export async function writeOutAhead(
  update: WritingOut,
  { placeMs, othersMs, againMs }: PatientLimits = usualLimits,
): Promise<LastSync> {
  const { context, signal } = update;
  const everything = context.native.kernel.sync();
  everything.catch(() => {});
  const lastSync = await lastSyncOf(update);
  const ahead = { limitMs: placeMs, signal, ofVmms: true, again: true };
  const isOneSilent = await leaveUnsynced(update, await lastSync.run(ahead));
  // Where a place does not answer, the sync of everything waits for it as well. A slow disk has its time.
  const limitMs = isOneSilent ? othersMs : placeMs;
  const late = (): Error => new Error(`it did not end within ${limitMs} ms`);
  await inTime(everything, limitMs, late, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    const problem = saidBy(error);
    // All of it is synced once more when machines are stopped, where it has less time.
    if (lastSync.ofEverything) throw new Error(`not all file systems could be synced: ${problem}`);
    context.log('warning', 'what other programs have written last may not be on disk', { problem });
  });
  if (lastSync.ofEverything) return lastSync;
  // Once more while they still run. Then it is known that each place answers, and little is left for the next time.
  await leaveUnsynced(
    update,
    await lastSync.run({ limitMs: againMs, signal, pids: pidsOf(update), again: true }),
  );
  return lastSync;
}

/**
 * Writes out what is left. The machines are stopped.
 *
 * @returns whether that cost a machine
 * @throws NotSaved under the policy *stop*, or if no machine would be left; Error that names what does not answer; the
 *   signal's reason
 */
export async function writeOut(update: WritingOut, lastSync: LastSync): Promise<boolean> {
  const { signal } = update;
  return await leaveUnsynced(update, await lastSync.run({ signal, pids: pidsOf(update) }));
}

const pidsOf = ({ machines }: WritingOut): Set<number> =>
  new Set(machines.coming.map(({ machine }) => machine.pid));

/** @returns whether there were any to leave. @throws NotSaved under the policy *stop*, or if none would be left */
async function leaveUnsynced(
  { context, facts, machines }: WritingOut,
  unsynced: readonly Unsynced[],
): Promise<boolean> {
  const problems = new Map<number, string[]>();
  for (const { problem, pids } of unsynced) {
    context.log('warning', 'what machines have written cannot be synced', { problem, pids });
    for (const pid of pids) problems.set(pid, [...(problems.get(pid) ?? []), problem]);
  }
  for (const [pid, all] of problems) machines.leave(pid, all.join('; '));
  // One slow disk that all are on must not cost all of them, with nobody left to be carried over.
  if (problems.size > 0 && facts.machines.length > 0 && machines.coming.length === 0)
    throw new NotSaved(
      `no machine is left to be carried over: ${unsynced.map(({ problem }) => problem).join('; ')}`,
    );
  return unsynced.length > 0;
}

/** What is to be synced once the machines are stopped: nothing is known of programs that stop theirs themselves, or that write for a VMM. */
async function lastSyncOf({ context, facts, machines, signal }: WritingOut): Promise<LastSync> {
  const byOthers = machines.coming.some(({ machine }) => writesByOthers(machine.command.words));
  if (facts.machines.length === 0 || byOthers || facts.sessions.some(({ attended }) => attended))
    return LastSync.everything(context);
  const lastSync = await LastSync.of(
    context,
    machines.coming.map(({ machine }) => machine.pid),
    { signal },
  );
  context.log('info', 'places that are synced once the machines are stopped', {
    places: lastSync.names.join(', '),
  });
  return lastSync;
}
