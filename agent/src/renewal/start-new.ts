// SPDX-License-Identifier: Apache-2.0
/**
 * Has the carrier start the new VMM and play the state to it, and finds out what became of that. If it is to end before,
 * the carrier's worker is ended, and the carrier itself then ends the VMM. So between the question whether the guest was
 * told to run and the VMM's end nobody can tell it to.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Descriptor, Native } from '@luo-console/native';
import type { Adopted } from '../adoption/adoption-context.ts';
import { askNewVmm, type NewVmm, newUnitOf, type ReplacedContext } from '../adoption/replaced-vmm.ts';
import { readMark } from '../adoption/restart-mark.ts';
import { RanPerhaps, type RestoreMachine, type VmmStarter } from '../adoption/restore.ts';
import type { SavedMachine } from '../adoption/saved-machine.ts';
import { saidBy } from '../host/said-by.ts';
import type { MachineRenewal } from '../liveupdate/machine-head.ts';
import type { Place } from '../liveupdate/session-entries.ts';
import { noteLoaded } from '../update/program/renewal-directory.ts';
import type { RenewalUnits } from './renewal-units.ts';

export interface StartContext extends ReplacedContext {
  readonly native: Native;
  readonly units: Pick<RenewalUnits, 'interrupt'>;
  /** Has a saved machine run. */
  readonly restore: RestoreMachine;
}

export interface StartParts {
  readonly adopted: Adopted;
  readonly renewal: MachineRenewal;
  readonly saved: SavedMachine;
  readonly state: Descriptor;
  file(place: Place): Descriptor;
  /** Ends it. It has no effect once the guest was told to run. */
  readonly signal: AbortSignal;
}

/** How it went. `ranAtNs`: when the guest ran, on `CLOCK_BOOTTIME`; null if that is not known. */
export type Begun =
  | { readonly is: 'running'; readonly pid: number; readonly ranAtNs: number | null }
  /** It never ran, and has ended. */
  | { readonly is: 'failed'; readonly why: string }
  /** It was told to run, and has ended. */
  | { readonly is: 'gone'; readonly why: string };

/** How often the worker is looked for that is to be ended, and how often all else is tried again, in ms. */
const againMs = 100;
const askAgainMs = 2000;

/**
 * Never throws, and takes nothing that went wrong for a guest that did not run: the mark behind the state says that, once
 * nothing is being started any more. There is one attempt, so nobody else asks later.
 */
export async function startNew(context: StartContext, parts: StartParts): Promise<Begun> {
  const { native, paths, restore, log } = context;
  const { adopted, renewal, saved, state, file, signal } = parts;
  const { session } = adopted;
  const unit = newUnitOf(adopted, renewal);
  let ranAtNs: number | null = null;
  const over = new AbortController();
  const interrupting = interruptOnce(context, parts, over.signal);
  try {
    const pid = await restore({
      ...{ native, paths, machine: saved, state, file, log },
      starter: inUnit(context.starter, unit.beside),
      socketDirectory: renewal.directory,
      reached: (point, atNs) => {
        if (point === 'loaded') noteIfPossible(context, parts);
        if (point === 'running') ranAtNs = atNs;
      },
    });
    return { is: 'running', pid, ranAtNs };
  } catch (error) {
    const isRunning = (): boolean => readMark(native.memory, state, saved) === 'running';
    // The carrier may go on, and is ended as before if it takes too long.
    const isTold = await untilDone(log, session, async () => {
      await context.starter.settle(unit);
      return error instanceof RanPerhaps || isRunning();
    });
    over.abort();
    await interrupting;
    const why = saidBy(signal.aborted ? signal.reason : error);
    const stop = (): Promise<boolean> =>
      untilDone(log, session, async () => {
        await context.starter.stop(unit);
        // Nobody writes the mark any more.
        return isRunning();
      });
    if (!isTold) return (await stop()) ? { is: 'gone', why } : { is: 'failed', why };
    log('warning', 'a new VMM was told to run, and is asked how it is', { session, problem: saidBy(error) });
    const became = await askUntilKnown(context, adopted, renewal);
    if (became.is === 'running') return { ...became, ranAtNs };
    if (became.is === 'ended') return { is: 'gone', why: saidBy(error) };
    // Its guest has not run: QEMU has refused that.
    await stop();
    return { is: 'failed', why: became.why };
  } finally {
    over.abort();
  }
}

/** Notes for another agent that the guest may run. Nothing that is done for the guest ends because that fails. */
function noteIfPossible({ log }: StartContext, { adopted, renewal }: StartParts): void {
  try {
    noteLoaded(renewal.directory);
  } catch (error) {
    const message = 'it could not be noted that a new VMM has its state';
    log('error', message, { session: adopted.session, problem: saidBy(error) });
  }
}

/** Does what neither VMM may be let run before, until it is done. @throws nothing */
export async function untilDone<Result>(
  log: StartContext['log'],
  session: string,
  work: () => Promise<Result>,
): Promise<Result> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      log('error', 'a renewal cannot be undone yet, and is tried again', { session, problem: saidBy(error) });
      await delay(askAgainMs);
    }
  }
}

/** Starts VMMs in the unit that is beside the old one's. */
function inUnit(starter: VmmStarter, beside: { readonly second: boolean } | undefined): VmmStarter {
  if (beside === undefined) return starter;
  return {
    resume: (machine, vmm) => starter.resume({ ...machine, beside }, vmm),
    settle: (machine) => starter.settle({ ...machine, beside }),
    pid: (machine) => starter.pid({ ...machine, beside }),
    stop: (machine) => starter.stop({ ...machine, beside }),
    adopt: (machine, pid, files) => starter.adopt({ ...machine, beside }, pid, files),
  };
}

/** Ends the carrier's worker once the signal fires, as soon as there is one. @param over fires when all is over */
async function interruptOnce(
  { units, log }: StartContext,
  { adopted, renewal, signal }: StartParts,
  over: AbortSignal,
): Promise<void> {
  const either = AbortSignal.any([signal, over]);
  if (!either.aborted) await new Promise((resolve) => either.addEventListener('abort', resolve));
  while (!over.aborted) {
    await units.interrupt(newUnitOf(adopted, renewal)).catch((error: unknown) => {
      log('error', 'the start of a new VMM cannot be ended', {
        session: adopted.session,
        problem: saidBy(error),
      });
    });
    await delay(againMs, undefined, { signal: over }).catch(() => {});
  }
}

/** Without a limit: as long as it is not known, neither VMM may be touched. */
async function askUntilKnown(
  context: StartContext,
  adopted: Adopted,
  renewal: MachineRenewal,
): Promise<NewVmm> {
  for (;;) {
    try {
      return await askNewVmm(context, adopted, renewal);
    } catch (error) {
      const fields = { session: adopted.session, problem: saidBy(error) };
      context.log('error', 'it is unknown whether a new VMM runs, and it is asked again', fields);
      await delay(askAgainMs);
    }
  }
}
