// SPDX-License-Identifier: Apache-2.0
/**
 * The end of an index session. It is finished only when nothing in it is the last copy of anything. So each machine that
 * it names has to run, or to have its record, state and memory in its own session. A machine without a session counts as
 * given up: its memory did not come, or an operator closed it. Otherwise the index stays, and no update can leave.
 */
import { setImmediate } from 'node:timers/promises';
import type { Descriptor, Memory } from '@luo-console/native';
import { attemptOf, heldLabels, keptRecord, sessionsNotRunning } from '../../adoption/held-machines.ts';
import { copiedMark, readMark, settledMark, writeAttempts, writeMark } from '../../adoption/restart-mark.ts';
import { saidBy } from '../../host/said-by.ts';
import type { Update } from '../../interface/agent.generated.ts';
import { agentItself } from '../../liveupdate/live-update-context.ts';
import type { SessionStore } from '../../liveupdate/sessions.ts';
import { dismiss, type IncomingIndex } from '../record/incoming-index.ts';
import type { UpdateContext } from '../record/update-context.ts';
import type { HeldMachine } from './held-machine.ts';
import type { ResumedMachines } from './resuming.ts';

/**
 * Keeps all that is held of machines, each on its own.
 *
 * @returns what could not be kept and is in the index alone, in words; none if the index can be finished
 */
export async function keepHeld(context: UpdateContext, held: readonly HeldMachine[]): Promise<string[]> {
  const { native, sessions } = context;
  const problems: string[] = [];
  // Also one that an operator has tried again since: its state is too old.
  const running = new Set(context.adoptions.list().map(({ session }) => session));
  for (const machine of held) {
    const { name, session, record, files } = machine;
    try {
      // Its memory did not come, or an operator closed it: nothing is left that this would belong to.
      if (session === null && mayBeInIndex(context).length === 0) continue;
      if (session === null) throw new Error('its record does not say which session it has');
      if (!sessions.has(session) || running.has(session)) continue;
      const text = JSON.stringify(record);
      const copies = new Copies(sessions, session, attemptOf(text));
      await copies.add(heldLabels.record, () => contentOf(native.memory, text));
      for (const { kind, token, file } of files)
        await copies.add(kind === 'state' ? heldLabels.state : heldLabels.memory(token), () =>
          kind === 'state' ? copyOfState(native.memory, file, machine) : copyOf(native.memory, file),
        );
      if (!files.some(({ kind }) => kind === 'state'))
        throw new Error('its state is not where its record says, or could not be retrieved');
    } catch (error) {
      const whose = session === null ? (name ?? 'a machine') : `session ${session}`;
      problems.push(`${whose}: kept in the index session only: ${saidBy(error)}`);
    } finally {
      for (const { file } of files) file.close();
    }
  }
  return problems;
}

/**
 * What an index that cannot be read may have the last copy of: the states of machines whose sessions came, but that
 * neither run nor have a record of their own. An operator gives such a machine up by closing its session.
 */
export function mayBeInIndex(context: UpdateContext): string[] {
  return sessionsNotRunning(context)
    .filter((session) => keptRecord(context.native.memory, session) === null)
    .map(({ name }) => `session ${name}: its state may be in the index, which cannot be read`);
}

/** Copies beside a machine's memory. The files themselves belong to the index: the kernel would answer EBUSY. */
class Copies {
  readonly #sessions: SessionStore;
  readonly #session: string;
  readonly #source: string;
  readonly #there: ReadonlySet<string>;

  /** @param source tells copies of this state from those of an earlier update */
  constructor(sessions: SessionStore, session: string, source: string) {
    this.#sessions = sessions;
    this.#session = session;
    this.#source = source;
    const entries = sessions.get(session).manifest?.entries() ?? [];
    this.#there = new Set(entries.filter((each) => each.source === source).map(({ label }) => label));
  }

  /** Preserves a file, unless an agent before this one has. */
  async add(label: string, make: () => Promise<Descriptor>): Promise<void> {
    if (this.#there.has(label)) return;
    using file = await make();
    const request = { token: null, label, source: this.#source };
    await this.#sessions.preserve(this.#session, file, request, agentItself);
  }
}

/**
 * Marks the states in an index as those of a settled update. The index may be kept, and then no agent may start, stop or
 * continue a machine from it any more: an operator may have tried it again since.
 */
export async function markSettled({ native, log }: UpdateContext, index: IncomingIndex): Promise<void> {
  for (const saved of index.record?.machines ?? []) {
    if (saved.state === null) continue;
    try {
      using state = await native.liveUpdate.retrieveFd(index.session, BigInt(saved.state.token));
      writeMark(native.memory, state, saved, settledMark(readMark(native.memory, state, saved)));
    } catch (error) {
      log('warning', 'a state cannot be marked as settled', {
        session: saved.session,
        problem: saidBy(error),
      });
    }
  }
}

/**
 * Finishes the index, if nothing in it is the last copy of anything.
 *
 * @param lost what could not be kept elsewhere, in words
 */
export async function finishIndex(
  context: UpdateContext,
  index: IncomingIndex,
  lost: readonly string[],
): Promise<void> {
  const { log, unfinishedIndex } = context;
  if (lost.length > 0) {
    unfinishedIndex.keep(index.session, lost.join('; '));
    log('error', 'the index session is kept: it has the last copy of what is held', { problems: lost });
    return;
  }
  try {
    await dismiss(context, index);
  } catch (error) {
    log('warning', 'the index session cannot be finished', { problem: saidBy(error) });
  }
}

/** Tries again for an update that is settled already, whose index was not finished then. */
export async function finishSettledIndex(
  context: UpdateContext,
  index: IncomingIndex,
  { machines }: Update,
  resumed: ResumedMachines | undefined,
): Promise<void> {
  // One that ran then and has ended since looks held to the first things.
  const runs = new Set(machines.filter(({ stage }) => stage === 'resumed').map(({ session }) => session));
  const held = (resumed?.held ?? []).filter((machine) => {
    if (!runs.has(machine.session)) return true;
    for (const { file } of machine.files) file.close();
    return false;
  });
  await finishIndex(context, index, await keepHeld(context, held));
}

const pieceBytes = 1024 * 1024;

/** The state of a machine that was saved whole is as large as its memory, so the event loop breathes between two pieces. */
async function copyOf(memory: Memory, file: Descriptor): Promise<Descriptor> {
  return await filled(memory, async (copy) => {
    for (let at = 0; ; at += pieceBytes) {
      const piece = memory.read(file, BigInt(at), pieceBytes);
      if (piece.length === 0) return;
      memory.write(copy, BigInt(at), piece);
      await setImmediate();
    }
  });
}

/** A copy whose mark says again what it said before the update was settled. An operator's attempts are not counted. */
async function copyOfState(memory: Memory, file: Descriptor, { saved }: HeldMachine): Promise<Descriptor> {
  const copy = await copyOf(memory, file);
  if (saved === null) return copy;
  writeMark(memory, copy, saved, copiedMark(readMark(memory, copy, saved)));
  writeAttempts(memory, copy, saved, 0);
  return copy;
}

async function contentOf(memory: Memory, text: string): Promise<Descriptor> {
  return await filled(memory, async (file) => memory.write(file, 0n, Buffer.from(text, 'utf8')));
}

async function filled(memory: Memory, fill: (file: Descriptor) => Promise<void>): Promise<Descriptor> {
  const file = memory.memfdCreate('luo-machine-held');
  try {
    await fill(file);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}
