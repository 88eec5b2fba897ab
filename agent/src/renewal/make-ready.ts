// SPDX-License-Identifier: Apache-2.0
/** Gets a renewal ready while the guest runs: nothing of it is changed yet but the settings that a save needs. */
import { rmSync } from 'node:fs';
import type { Descriptor, Native } from '@luo-console/native';
import type { Adopted } from '../adoption/adoption-context.ts';
import type { Adoptions } from '../adoption/adoptions.ts';
import { placesOfMemory } from '../adoption/named-memory.ts';
import { MachineSaver } from '../adoption/save.ts';
import type { SavedMachine } from '../adoption/saved-machine.ts';
import type { VmmFacts } from '../adoption/vmm-facts.ts';
import type { HostPaths } from '../host/paths.ts';
import { whyClosedToOthers } from '../host/seals.ts';
import { socketSeenBy } from '../host/seen-by.ts';
import { makeMeetingPlace } from '../host/socket-directory.ts';
import type { Unended } from '../host/unended.ts';
import type { Machine, RenewalStage } from '../interface/agent.generated.ts';
import type { MachineRenewal } from '../liveupdate/machine-head.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';
import type { BlockFiles } from '../machines/block-files.ts';
import { writeOut } from '../rehearsal/write-out.ts';
import { vmmFacts } from '../update/program/vmm-facts.ts';
import { NotRenewable, needRenewable, renewalOf } from './begin.ts';
import type { RenewalUnits } from './renewal-units.ts';
import type { StartContext } from './start-new.ts';

export interface RenewalContext extends Omit<StartContext, 'units' | 'mark' | 'paths'> {
  readonly paths: Pick<HostPaths, 'proc' | 'sys'>;
  readonly sessions: Pick<SessionStore, 'get' | 'whereIs' | 'touched'>;
  readonly adoptions: Pick<Adoptions, 'moved'> & {
    readonly stopped: Pick<Adoptions['stopped'], 'mark' | 'letRunOn'>;
  };
  readonly blockFiles: Pick<BlockFiles, 'of'>;
  readonly units: RenewalUnits;
  readonly socketDirectory: string;
  readonly unended: Unended;
  take(pid: number, fd: number): Descriptor;
  /** @throws Refusal NoSuchProcess, NotAMachine */
  look(pid: number): Promise<Machine>;
  nowUs(): number;
}

export interface RenewOptions {
  readonly adopted: Adopted;
  /** As it was looked at. */
  readonly machine: Machine;
  /** Longest that the guest may be stopped before it is told to run, in µs. */
  readonly limitUs: number;
  /** Ends it early: the old VMM runs on then. */
  readonly signal: AbortSignal;
  told(stage: RenewalStage): void;
}

/** What the names of directories begin with in which new VMMs are started. */
export const purpose = 'renewal-';
/** What is made ready for the state, in bytes: memory is not in it. */
const stateBytes = 2 * 1024 * 1024;
/** How much later than by the clock saving ends, in ms. */
const graceMs = 1000;

/** What is in hand once everything is ready. */
export interface Ready {
  readonly facts: VmmFacts;
  readonly memory: SavedMachine['memory'];
  readonly saver: MachineSaver;
  readonly renewal: MachineRenewal;
}

/** @throws NotRenewable; what looking at the VMM and getting it ready fails with. Its settings are as before, or noted. */
export async function makeReady(
  context: RenewalContext,
  { adopted, machine, limitUs }: RenewOptions,
  signal: AbortSignal,
): Promise<Ready> {
  const { adoptions, blockFiles, native, nowUs, paths, sessions, socketDirectory, take, unended } = context;
  const { session, machine: head } = adopted;
  const { command, pid, way } = head;
  const facts = await vmmFacts(paths, head, blockFiles.of(head));
  needRenewable(adopted, facts);
  const whereIs = sessions.whereIs.bind(sessions);
  const memory = placesOfMemory({ native, take, whereIs }, machine, command.words);
  for (const { backend, session: from, token } of memory) {
    const file = sessions.get(from).files.get(BigInt(token));
    if (file) needOpen(native, file, `its memory ${backend}`);
  }
  const directory = makeMeetingPlace(socketDirectory, null, purpose);
  try {
    const renewal = await renewalOf(context, adopted, facts, directory);
    const unwritten = await writeOut({ native, paths, take }, pid, signal);
    if (unwritten !== null) throw new NotRenewable(unwritten);
    const saver = await MachineSaver.prepare({
      ...{ native, unended, pid, way, socketDirectory, nowUs, signal },
      monitor: socketSeenBy(paths.proc, pid, head.monitor),
      user: command,
      expectedBytes: stateBytes,
      limitMs: limitUs / 1000 + graceMs,
      preserve: null,
      earlier: head.before,
      note: (before) => adoptions.stopped.mark(session, { before }),
    });
    return { facts, memory, saver, renewal };
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

/** @throws NotRenewable if a new VMM could not write to a file. @param what it is, for people */
export function needOpen({ memory }: Pick<Native, 'memory'>, file: Descriptor, what: string): void {
  const why = whyClosedToOthers(memory, file);
  if (why !== null) throw new NotRenewable(`${what}: ${why}`);
}
