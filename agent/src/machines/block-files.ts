// SPDX-License-Identifier: Apache-2.0
/**
 * What VMMs have said of the files of their block nodes, for when they cannot be asked. A monitor admits one client, and
 * in an update the agent's own connection is for saving the machine. So they are asked with everything else whenever a
 * machine is looked at: when it is adopted, and when a plan is made. A monitor that has another client is never asked.
 */
import type { ProcessIdentity } from '../host/process-files.ts';
import type { BlockNodes } from '../qemu/block-nodes.ts';

/** Of more VMMs nothing is kept; the oldest answers go first. */
const mostVmms = 512;

/** The files and what opens them, or why the VMM did not say them. */
export type BlockFilesAnswer = BlockNodes | { readonly problem: string };

export class BlockFiles {
  readonly #log: (level: 'warning', message: string, fields: Record<string, unknown>) => void;
  /** By pid and start. Null of one that has not said them. */
  readonly #known = new Map<string, BlockNodes | null>();

  constructor(log: (level: 'warning', message: string, fields: Record<string, unknown>) => void) {
    this.#log = log;
  }

  /** Takes an answer. A problem is logged once for each process; what it has said before stays. */
  note(identity: ProcessIdentity, answer: BlockFilesAnswer): void {
    const key = keyOf(identity);
    if ('files' in answer) this.#known.set(key, answer);
    else if (!this.#known.has(key)) {
      this.#known.set(key, null);
      const fields = { pid: identity.pid, problem: answer.problem };
      this.#log('warning', 'a VMM does not say which files its block nodes have', fields);
    }
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= mostVmms) break;
      this.#known.delete(oldest);
    }
  }

  /** Absolute paths; none of a process that has not said them. */
  of(identity: ProcessIdentity): readonly string[] {
    return this.#known.get(keyOf(identity))?.files ?? [];
  }

  /** The drivers of all its block nodes; none of a process that has not said them. */
  driversOf(identity: ProcessIdentity): readonly string[] {
    return this.#known.get(keyOf(identity))?.drivers ?? [];
  }
}

const keyOf = ({ pid, startTime }: ProcessIdentity): string => `${pid} ${startTime}`;
