// SPDX-License-Identifier: Apache-2.0
/**
 * What the manifest of a machine's session says of the machine: enough to start it again on a host whose disk is
 * empty. Written when it is adopted, and whenever its VMM is another process.
 */
import * as v from 'valibot';
import type { SetAside } from '../host/set-aside.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** The highest priority of a machine; the lowest is 0. */
export const mostPriority = 100;
/** Machines with a higher one are started first in the next kernel. A record of an earlier agent has none. */
export const Priority = v.optional(v.pipe(count, v.maxValue(mostPriority)), 0);

/** How a VMM was started. */
export const VmmCommand = v.object({
  program: v.pipe(v.string(), v.regex(/^\//), v.maxLength(4096)),
  /** The words after the program's name. */
  words: v.pipe(v.array(v.pipe(v.string(), v.maxLength(65_536))), v.maxLength(4096)),
  directory: v.pipe(v.string(), v.maxLength(4096)),
  uid: count,
  gid: count,
});
export type VmmCommand = v.InferOutput<typeof VmmCommand>;

/** Settings of a QEMU's migration, by their names in QEMU (qapi/migration.json). */
export const MigrationSettings = v.object({
  capabilities: v.record(v.pipe(v.string(), v.maxLength(64)), v.boolean()),
  parameters: v.record(
    v.pipe(v.string(), v.maxLength(64)),
    v.union([v.pipe(v.string(), v.maxLength(256)), count]),
  ),
});
export type MigrationSettings = v.InferOutput<typeof MigrationSettings>;

/** How a machine was before an update touched it. It is put back from this, whoever does that. */
export const MachineBefore = v.object({
  /** Whether its guest ran. Only one that did is ever told to run. */
  ran: v.boolean(),
  /**
   * Whether QEMU may have been told to save it for the update. If not, somebody else has: a guest that was migrated away must
   * not run here, too. An earlier agent did not note it.
   */
  saving: v.optional(v.boolean(), true),
  /** Those of its settings that the update changes. */
  settings: MigrationSettings,
});
export type MachineBefore = v.InferOutput<typeof MachineBefore>;

const path = v.pipe(v.string(), v.regex(/^\//), v.maxLength(4096));
const Renamed = v.object({ path, aside: path }) satisfies v.GenericSchema<unknown, SetAside>;

/**
 * A machine gets a new VMM in this kernel. Written before its guest is stopped, so that an agent that finds it knows what
 * may have been started, and what must be ended or put back.
 */
export const MachineRenewal = v.object({
  /** The VMM that is replaced. */
  from: v.object({ pid: count, startTime: v.pipe(v.string(), v.maxLength(32)) }),
  /** Whether the new one is in the machine's second unit. */
  second: v.boolean(),
  /** Whether the old one is in the other one of the machine's units: otherwise its unit is somebody else's. */
  ownUnit: v.boolean(),
  /** The slice of the new one's unit; null for the usual one. */
  slice: v.nullable(v.pipe(v.string(), v.maxLength(255))),
  /** The nice value of its VMM. */
  nice: v.pipe(v.number(), v.integer(), v.minValue(-20), v.maxValue(19)),
  /** Where the carrier works, in a directory of its own. */
  directory: path,
  /** Sockets and files of the old one, which the new one makes again. */
  aside: v.pipe(v.array(Renamed), v.maxLength(1024)),
  /** The machine's directory, while the end of the old one's unit would remove it; null if it has none. */
  kept: v.nullable(Renamed),
});
export type MachineRenewal = v.InferOutput<typeof MachineRenewal>;

export const MachineHead = v.object({
  name: v.pipe(v.string(), v.maxLength(256)),
  /** The definition it was started from, or null. */
  definition: v.nullable(v.pipe(v.string(), v.maxLength(64))),
  /** What that definition said, so that it need not be on disk. */
  definitionText: v.nullable(v.pipe(v.string(), v.maxLength(65_536))),
  way: v.picklist(['cpr', 'named_memory', 'whole_state']),
  priority: Priority,
  pid: count,
  /** Clock ticks since boot, field 22 of `/proc/PID/stat`: tells it from a later process of that number. */
  startTime: v.pipe(v.string(), v.maxLength(32)),
  bootId: v.pipe(v.string(), v.maxLength(64)),
  /** Absolute path of its monitor's socket. */
  monitor: v.pipe(v.string(), v.maxLength(4096)),
  command: VmmCommand,
  /** Names that were taken away so that the kernel preserves the files, to be put back as links. */
  unlinked: v.array(v.object({ path: v.pipe(v.string(), v.maxLength(4096)), fd: count })),
  /** Set while the guest is stopped for a live update: whoever finds it so lets it run on, if it ran before. */
  suspended: v.boolean(),
  /** Set while an update has the machine in hand; null otherwise. A head of an earlier agent has none. */
  before: v.optional(v.nullable(MachineBefore), null),
  /** Set while its VMM is being replaced in this kernel. */
  renewal: v.optional(v.nullable(MachineRenewal)),
});
export type MachineHead = v.InferOutput<typeof MachineHead>;

/** What of it says that a machine is in hand: an update's, or that of who replaces its VMM. */
export type StoppedMark = Partial<Pick<MachineHead, 'suspended' | 'before' | 'renewal'>>;
