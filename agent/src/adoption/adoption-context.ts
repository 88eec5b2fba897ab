// SPDX-License-Identifier: Apache-2.0
/** What the adoption of machines works with, and which machines are adopted: the manifests of their sessions say so. */
import type { Descriptor, Native } from '@luo-console/native';
import type { HostPaths } from '../host/paths.ts';
import type { Unended } from '../host/unended.ts';
import type { Machine } from '../interface/agent.generated.ts';
import type { Journal } from '../journal/index.ts';
import type { MachineHead } from '../liveupdate/machine-head.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';
import type { VmmStarter } from './restore.ts';

/** What it takes to go on with a machine whose VMM was being replaced. */
export interface RenewalsLeft {
  readonly starter: VmmStarter;
  /** Whether this agent is at it: then nobody else is to touch the machine. */
  isUnder(session: string): boolean;
  /** Whether the new VMM may have been told to run, by what the carrier has said in this directory. */
  mayHaveRun(directory: string): boolean;
}

export interface AdoptionContext {
  readonly native: Native;
  readonly paths: HostPaths;
  readonly sessions: SessionStore;
  readonly journal: Journal;
  readonly unended: Unended;
  readonly bootId: string;
  /** A machine as it is now. @throws Refusal NoSuchProcess, NotAMachine */
  look(pid: number): Promise<Machine>;
  /** A copy of a process's descriptor. @throws Refusal */
  take(pid: number, fd: number): Descriptor;
  /** Free memory that programs can have, in bytes; null if that is unknown. */
  availableMemory(): Promise<number | null>;
  /** What there is of definitions. */
  readonly defined: {
    /** Whether there is one of that name. */
    has(name: string): Promise<boolean>;
    /** Whether a machine is that of the definition with its name. */
    isOne(machine: Machine): Promise<boolean>;
    /** The priority that one gives its machine; 0 if it cannot be read. */
    priorityOf(name: string): Promise<number>;
  };
  /** The user the agent runs as: root. */
  readonly ownUid: number;
  readonly renewals: RenewalsLeft;
  /** Whether machines that stand still should not: no live update is under way. */
  mayLetRunOn(): boolean;
  log(level: 'info' | 'warning' | 'error', message: string, fields?: Record<string, unknown>): void;
}

/** An adopted machine. */
export interface Adopted {
  readonly session: string;
  readonly machine: MachineHead;
}

/** All adopted machines of this boot. */
export const adoptedIn = ({
  sessions,
  bootId,
}: Pick<AdoptionContext, 'bootId'> & { readonly sessions: Pick<SessionStore, 'list'> }): Adopted[] =>
  sessions
    .list()
    .flatMap(({ name, machine }) =>
      machine !== null && machine.bootId === bootId ? [{ session: name, machine }] : [],
    );
