// SPDX-License-Identifier: Apache-2.0
/**
 * The resume program of a rehearsal: what starts the machine's next VMM, up to where it waits for a state. It has no
 * mark, so the carrier ends its VMM with any failure, and the unit ends it with the carrier. Nothing in it tells the guest
 * to run. QEMU is told to leave disks alone until then (`late-block-activate`, qapi/migration.json).
 *
 * Where a state is loaded, the carrier waits for a file, by which the agent says that all of the state is there.
 */
import { join } from 'node:path';
import { capabilitiesFor, incomingSocketsIn, wordsToTakeIn } from '../adoption/taking-in.ts';
import type { VmmFacts } from '../adoption/vmm-facts.ts';
import type { MachineHead } from '../liveupdate/machine-head.ts';
import { migrateIncoming, queryMigrate } from '../qemu/migration-commands.ts';
import { patienceWith, usualQuietS } from '../update/program/arrival-time.ts';
import { capabilityInstructions, processInstructions, tell, until } from '../update/program/compile.ts';
import { bytesOf } from '../update/program/encode.ts';
import { type Instruction, toItsEnd } from '../update/program/instructions.ts';
import type { HarmlessWords } from './harmless-words.ts';

export interface RehearsalParts {
  readonly machine: Pick<MachineHead, 'way' | 'command'>;
  /** Those of the running VMM: its command line may set them again. */
  readonly capabilities: Readonly<Record<string, boolean>>;
  readonly session: string;
  readonly facts: VmmFacts;
  readonly harmless: HarmlessWords;
  /** Its backends of memory that is handed over, in the order of their files. */
  readonly memory: readonly { readonly backend: string }[];
  /** Where the carrier works. */
  readonly directory: string;
  /** Whether a state is loaded. */
  readonly loads: boolean;
}

/** The number of the file that the state is in, and those of the memory behind it. */
const stateFile = 0;

/** How long the carrier waits for the state, in seconds. */
const stateLimitS = 60;

/** The file by which the agent says that the state is there. */
export const savedIn = (directory: string): string => join(directory, 'saved');

/** The directory that is the VMM's. */
export const placeIn = (directory: string): string => join(directory, '0');

/** @throws Error that names the instruction, if a value does not fit one; if rights of the machine cannot be kept */
export function rehearsalProgram(parts: RehearsalParts): Instruction[] {
  const { session, memory } = parts;
  const part = machinePart(parts);
  return [
    { does: 'session', name: 'rehearsal' },
    ...[stateFile, ...memory].map(
      (_, number): Instruction => ({
        does: 'file',
        session: 0,
        token: BigInt(number + 1),
      }),
    ),
    { does: 'together', count: 1 },
    { does: 'machine', stateFile, markOffset: 0, bytes: bytesOf(part), session },
    ...part,
  ];
}

function machinePart(parts: RehearsalParts): Instruction[] {
  const { machine, memory, facts, harmless, directory, loads, capabilities } = parts;
  const { command } = machine;
  const { uid, gid } = command;
  const place = placeIn(directory);
  const sockets = incomingSocketsIn(place);
  // Descriptors are handed over by a VMM that ends: this one waits for a state as on the other ways.
  const taken = wordsToTakeIn(
    { way: 'named_memory', command: { ...command, words: harmless.words }, memory },
    sockets,
  );
  return [
    { does: 'patience', ...patienceWith({ filledBytes: 0 }, usualQuietS) },
    { does: 'apart' },
    ...harmless.taps.map(({ name, queues }): Instruction => ({ does: 'tap', uid, queues, name })),
    { does: 'directory', mode: 0o700, uid, gid, path: place },
    ...processInstructions({ command }, facts),
    ...taken.map((text): Instruction => ({ does: 'word', text })),
    ...memory.map((_, number): Instruction => ({ does: 'hand', file: stateFile + 1 + number })),
    { does: 'note', word: 'starting' },
    { does: 'start', program: command.program },
    { does: 'monitor', path: harmless.monitor },
    ...capabilityInstructions({ ...capabilitiesFor(machine.way), 'late-block-activate': true }, capabilities),
    tell(migrateIncoming(sockets.main)),
    { does: 'note', word: 'loading' },
    ...(loads ? loading(directory, sockets.main) : []),
  ];
}

const loading = (directory: string, socket: string): Instruction[] => [
  { does: 'present', limitS: stateLimitS, path: savedIn(directory) },
  { does: 'connect', path: socket },
  { does: 'play', file: stateFile, offset: 0, bytes: toItsEnd },
  { does: 'shut' },
  until('"status": "completed"', '"status": "failed"', queryMigrate),
  { does: 'note', word: 'loaded' },
];
