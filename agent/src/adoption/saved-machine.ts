// SPDX-License-Identifier: Apache-2.0
/**
 * The record of a machine with which another kernel's agent can start it again. It says who its VMM was and how it was
 * started, where each of its descriptors is preserved, and how long the recorded streams are. It travels in the index
 * session, beside a file with the streams themselves, and is validated like any other input.
 */
import * as v from 'valibot';
import { Priority, VmmCommand } from '../liveupdate/machine-head.ts';
import type { Place } from '../liveupdate/session-entries.ts';
import { VmmFacts } from './vmm-facts.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const token = v.pipe(v.string(), v.regex(/^0x[0-9a-f]{1,16}$/));
const sessionName = v.pipe(v.string(), v.minLength(1), v.maxLength(63));

const place = v.object({ session: sessionName, token }) satisfies v.GenericSchema<unknown, Place>;

export const SavedMachine = v.object({
  name: v.pipe(v.string(), v.maxLength(256)),
  /** The machine's own session. */
  session: sessionName,
  definition: v.nullable(v.pipe(v.string(), v.maxLength(64))),
  way: v.picklist(['cpr', 'named_memory', 'whole_state']),
  priority: Priority,
  pid: count,
  command: VmmCommand,
  /** Absolute path of its monitor's socket. */
  monitor: v.pipe(v.string(), v.maxLength(4096)),
  /** Whether it ran before: one that was paused stays so. */
  ran: v.boolean(),
  /** Capabilities of its VMM's migration that the save has changed, as they were. An earlier agent noted none. */
  capabilities: v.optional(v.record(v.pipe(v.string(), v.maxLength(64)), v.boolean()), {}),
  /** The file with the CPR stream and after it the device state, in the index session; null before it is saved. */
  state: v.nullable(v.object({ token, cprBytes: count, mainBytes: count })),
  /** The pieces of the CPR stream; none on the other ways. */
  pieces: v.pipe(
    v.array(v.object({ bytes: count, files: v.pipe(v.array(place), v.maxLength(253)) })),
    v.maxLength(65_536),
  ),
  /** Named memory: what each backend's file is now preserved as. */
  memory: v.array(v.object({ backend: v.string(), ...place.entries })),
  /** What its VMM needs beside all this; null if that is unknown, or an earlier agent saved it. */
  facts: v.optional(v.nullable(VmmFacts), null),
  brownoutUs: v.nullable(count),
  /** On the clock that survives (`kernel/surviving-clock.ts`), µs. */
  suspendedAtUs: v.nullable(count),
  savedAtUs: v.nullable(count),
});
export type SavedMachine = v.InferOutput<typeof SavedMachine>;
