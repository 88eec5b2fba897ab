// SPDX-License-Identifier: Apache-2.0
/**
 * What is kept of rehearsals: of each machine the result that says most of it. It counts for as long as the machine has the
 * same VMM, and would be started as it was then. A failure is kept until a rehearsal passes.
 */
import { stat } from 'node:fs/promises';
import type { Adopted } from '../adoption/adoption-context.ts';
import type { HostPaths } from '../host/paths.ts';
import type { ProcessIdentity } from '../host/process-files.ts';
import { errnoOf } from '../host/refusal.ts';
import { seenBy } from '../host/seen-by.ts';
import type { Rehearsal } from '../interface/agent.generated.ts';
import type { MachineHead } from '../liveupdate/machine-head.ts';

/** What a machine is started from, by what people call it, each as a text that changes with it. */
export type Basis = Readonly<Record<'program' | 'command line' | 'definition' | 'way', string>>;

interface Known extends ProcessIdentity {
  readonly rehearsal: Rehearsal;
  readonly basis: Basis;
  /** Its devices when it was first looked at after the rehearsal, and the last time; null if its VMM did not say them. */
  devices: { readonly first: readonly string[]; readonly now: readonly string[] } | null;
}

interface ResultsContext {
  readonly paths: Pick<HostPaths, 'proc'>;
  readonly adoptions: { list(): Adopted[] };
}

export class LastResults {
  readonly #context: ResultsContext;
  /** By session. */
  readonly #known = new Map<string, Known>();

  constructor(context: ResultsContext) {
    this.#context = context;
  }

  /** What a machine is started from now. A program that cannot be read is another one than before. */
  async basisOf({ command, definition, definitionText, way }: MachineHead): Promise<Basis> {
    const { program, ...words } = command;
    // As process 1 sees it, which starts it.
    const file = await stat(seenBy(this.#context.paths.proc, 1, program), { bigint: true }).then(
      ({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join(' '),
      (error: unknown) => errnoOf(error) ?? 'unreadable',
    );
    return {
      program: `${program} ${file}`,
      'command line': JSON.stringify(words),
      definition: JSON.stringify([definition, definitionText]),
      way,
    };
  }

  /**
   * Takes a result in. One that found out less than the one before does not replace it, as where its monitor was busy.
   *
   * @param basis what the machine was started from
   */
  async note(
    { session, machine: { pid, startTime } }: Adopted,
    rehearsal: Rehearsal,
    basis: Basis,
  ): Promise<void> {
    const before = await this.of({ pid, startTime }, null);
    if (before !== null && saysMore(before, rehearsal)) return;
    this.#known.set(session, { pid, startTime, rehearsal, basis, devices: null });
  }

  /**
   * The result that counts of a VMM; null if there is none.
   *
   * @param devices that it has, in its words; null if it was not asked
   */
  async of(
    { pid, startTime }: ProcessIdentity,
    devices: readonly string[] | null,
  ): Promise<Rehearsal | null> {
    const found = [...this.#known].find(([, each]) => each.pid === pid && each.startTime === startTime);
    if (found === undefined) return null;
    const [session, known] = found;
    if (devices !== null) known.devices = { first: known.devices?.first ?? devices, now: devices };
    const adopted = this.#context.adoptions.list().find((each) => each.session === session);
    const now: Record<string, string> = adopted ? await this.basisOf(adopted.machine) : known.basis;
    const { first = [], now: plugged = [] } = known.devices ?? {};
    const changed = [
      ...Object.entries(known.basis).flatMap(([what, was]) => (now[what] === was ? [] : [what])),
      ...(JSON.stringify(first) === JSON.stringify(plugged) ? [] : ['devices']),
    ];
    return { ...known.rehearsal, changed: changed.map((what) => `its ${what}`) };
  }
}

/** How far a rehearsal came: nothing of it was done, its VMM was started, or its state was loaded, or could not be. */
const reachOf = ({ problem, startUs, loadUs }: Rehearsal): number => {
  if (startUs === null) return problem === null ? 0 : 1;
  return loadUs !== null || problem !== null ? 2 : 1;
};

/** Whether what is known of a machine is still better than a new result. A new failure always counts. */
function saysMore(before: Rehearsal, now: Rehearsal): boolean {
  if (now.problem !== null || reachOf(now) >= reachOf(before)) return false;
  // The state of one that goes another way by now is not loaded as it was.
  return !before.changed.includes('its way') && (before.problem !== null || before.changed.length === 0);
}
