// SPDX-License-Identifier: Apache-2.0
/**
 * Compiles a resume program: what the carrier does in the next kernel so that saved machines run again. It does so from
 * process 1 on, or because the agent there has it started (`restore-machine.ts`).
 *
 * First sessions and files are taken, in the order of their first use. Then the host gets what is missing so early, and
 * then comes each machine's part. One that fails stops no other.
 */
import { join } from 'node:path';
import { markByte, markOffset } from '../../adoption/restart-mark.ts';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import { keyOf, placesOf, statePlace } from '../../adoption/saved-places.ts';
import {
  capabilitiesFor,
  incomingSocketsIn,
  usualCapabilities,
  wordsToTakeIn,
} from '../../adoption/taking-in.ts';
import { amountOf, type Need, type VmmFacts } from '../../adoption/vmm-facts.ts';
import { carrierDirectory } from '../../host/carrier-places.ts';
import { firstNice } from '../../host/priority.ts';
import type { Place } from '../../liveupdate/session-entries.ts';
import {
  letRun,
  migrateIncoming,
  notRunning,
  type QmpCommand,
  queryMigrate,
  queryStatus,
  setCapabilities,
} from '../../qemu/migration-commands.ts';
import { patienceWith, usualQuietS } from './arrival-time.ts';
import { bytesOf } from './encode.ts';
import { type Instruction, toldToRun } from './instructions.ts';
import type { KernelModules } from './kernel-modules.ts';
import { usualNeedLimitS } from './needs.ts';

/** A machine that the carrier brings back. */
export interface ProgramMachine {
  readonly saved: SavedMachine;
  readonly facts: VmmFacts;
}

export interface ProgramParts {
  /** The name of the index session. */
  readonly index: string;
  readonly machines: readonly ProgramMachine[];
  /** Where the carrier works, with a directory for each machine. */
  readonly directory?: string;
  /** How many machines are started at once; one if it is not given. */
  readonly together?: number;
  /** How long a machine waits for its needs. */
  readonly limitS?: number;
  /** The modules of the kernel that will execute it; none are loaded without them. */
  readonly modules?: Pick<KernelModules, 'instructions'> | null;
  /** How long a VMM may do nothing while it is waited for. */
  readonly quietS?: number;
}

/** The number of a file in the program. */
type NumberOf = (place: Place) => number;

/** The places of a program's files, in the order of their numbers. That of the first machine's state is the first. */
export function filesOf({ index, machines }: Pick<ProgramParts, 'index'> & Saved): Place[] {
  const places = machines.flatMap(({ saved }) => placesOf(saved, index));
  return [...new Map(places.map((place) => [keyOf(place), place])).values()];
}

interface Saved {
  readonly machines: readonly Pick<ProgramMachine, 'saved'>[];
}

/** @throws Error that names the instruction, if a value does not fit one; if rights of a machine cannot be kept */
export function compileProgram(parts: ProgramParts): Instruction[] {
  const { index, machines, directory = carrierDirectory, together = 1 } = parts;
  const { limitS = usualNeedLimitS, quietS = usualQuietS, modules = null } = parts;
  const files = filesOf(parts);
  const sessions = [...new Set([index, ...files.map(({ session }) => session)])];
  const numbers = new Map(files.map((place, number) => [keyOf(place), number]));
  const numberOf: NumberOf = (place) => {
    const number = numbers.get(keyOf(place));
    if (number === undefined) throw new Error(`no file of the program is ${keyOf(place)}`);
    return number;
  };
  return [
    ...sessions.map((name): Instruction => ({ does: 'session', name })),
    ...files.map(
      ({ session, token }): Instruction => ({
        does: 'file',
        session: sessions.indexOf(session),
        token: BigInt(token),
      }),
    ),
    { does: 'together', count: together },
    ...hostInstructions(machines),
    ...machines.flatMap(({ saved, facts }, number): Instruction[] => {
      const part = [
        { does: 'patience', ...patienceWith(facts, quietS) } as const,
        ...(modules?.instructions(facts.modules) ?? []),
        // Before anything is made: a directory that a mount hides later would be made in vain.
        ...facts.needs.map((need) => waitFor(need, limitS)),
        ...machinePart(saved, facts, join(directory, String(number)), index, numberOf),
      ];
      return [
        {
          does: 'machine',
          stateFile: numberOf(statePlace(saved, index)),
          markOffset: markOffset(saved),
          bytes: bytesOf(part),
          session: saved.session,
        },
        ...part,
      ];
    }),
  ];
}

/** What the host needs for all of them. */
function hostInstructions(machines: readonly ProgramMachine[]): Instruction[] {
  return [
    { does: 'loopback' },
    ...(machines.some(({ facts }) => facts.writesRoot) ? [{ does: 'writable' } as const] : []),
  ];
}

function machinePart(
  saved: SavedMachine,
  facts: VmmFacts,
  directory: string,
  index: string,
  numberOf: NumberOf,
): Instruction[] {
  const { capabilities, command, monitor, ran, way } = saved;
  const sockets = incomingSocketsIn(directory);
  const state = numberOf(statePlace(saved, index));
  const { cprBytes = 0, mainBytes = 0 } = saved.state ?? {};
  const viaCpr = way === 'cpr';
  const needed = capabilitiesFor(way);
  const others = othersOn(needed, capabilities);
  return [
    ...facts.nodes.map((node): Instruction => ({ does: 'node', ...node })),
    { does: 'directory', mode: 0o700, uid: command.uid, gid: command.gid, path: directory },
    ...facts.directories.map((each): Instruction => ({ does: 'directory', ...each })),
    ...processInstructions(saved, facts),
    ...wordsToTakeIn(saved, sockets).map((text): Instruction => ({ does: 'word', text })),
    ...saved.memory.map((place): Instruction => ({ does: 'hand', file: numberOf(place) })),
    { does: 'mark', value: markByte('starting') },
    { does: 'note', word: 'starting' },
    { does: 'start', program: command.program },
    // QEMU makes the machine only once it has its descriptors; until then it has no monitor.
    ...(viaCpr ? cprInstructions(saved, sockets.cpr, state, numberOf) : []),
    { does: 'monitor', path: monitor },
    ...capabilityInstructions(needed, capabilities),
    ...(viaCpr ? [] : [tell(migrateIncoming(sockets.main))]),
    { does: 'connect', path: sockets.main },
    { does: 'note', word: 'loading' },
    { does: 'play', file: state, offset: cprBytes, bytes: mainBytes },
    { does: 'shut' },
    until('"status": "completed"', '"status": "failed"', queryMigrate),
    { does: 'note', word: 'loaded' },
    // Also of one that stays paused: somebody else may tell it to run at any moment.
    { does: 'mark', value: markByte('running') },
    // What is not needed for that comes behind it. From here on nothing ends the VMM.
    ...(ran
      ? [tell(letRun), { does: 'note', word: toldToRun } as const, until(stoppedNoMore, '', queryStatus)]
      : []),
    // If the carrier ends before this, the agent does it (`runStarted`).
    { does: 'nice', fromFirst: facts.nice - firstNice },
    { does: 'note', word: 'running' },
    // Otherwise what its owner does with it next would go wrong, as a save without its memory.
    attempt(setCapabilities(formerOf(needed, capabilities))),
    ...(others.length > 0
      ? [attempt(setCapabilities(Object.fromEntries(others.map((name) => [name, true]))))]
      : []),
  ];
}

/** Capabilities that the machine has on and does not need: its command line may set them again. Most machines have none. */
const othersOn = (
  needed: Readonly<Record<string, boolean>>,
  capabilities: Readonly<Record<string, boolean>>,
): string[] =>
  Object.entries(capabilities).flatMap(([name, state]) => (state && !(name in needed) ? [name] : []));

/**
 * Has a VMM that was just started be able to take a machine in, whatever its command line sets.
 *
 * @param needed what it must have on or off
 * @param capabilities those of the machine that is taken in, as it has them when nobody saves it
 */
export const capabilityInstructions = (
  needed: Readonly<Record<string, boolean>>,
  capabilities: Readonly<Record<string, boolean>>,
): Instruction[] => [
  ...othersOn(needed, capabilities).map((name) => attempt(setCapabilities({ [name]: false }))),
  tell(setCapabilities(needed)),
];

/** The capabilities that a machine needed to be taken in, as they were before that. */
const formerOf = (needed: Readonly<Record<string, boolean>>, former: SavedMachine['capabilities']) =>
  Object.fromEntries(
    Object.keys(needed).map((name) => [name, former[name] ?? usualCapabilities[name] ?? false]),
  );

function waitFor({ kind, what }: Need, limitS: number): Instruction {
  if (kind === 'profile') return { does: kind, limitS, profile: what };
  return kind === 'interface' ? { does: kind, limitS, name: what } : { does: kind, limitS, path: what };
}

/** As whom the VMM runs, where, and within which limits. */
export function processInstructions(
  { command }: Pick<SavedMachine, 'command'>,
  facts: VmmFacts,
): Instruction[] {
  return [
    { does: 'user', uid: command.uid, gid: command.gid },
    ...rightsInstructions(facts),
    ...(facts.profile === null ? [] : [{ does: 'label', profile: facts.profile.name } as const]),
    ...facts.groups.map((gid): Instruction => ({ does: 'group', gid })),
    ...facts.limits.map(
      ({ number, soft, hard }): Instruction => ({
        does: 'limit',
        number,
        soft: amountOf(soft),
        hard: amountOf(hard),
      }),
    ),
    { does: 'umask', mask: facts.umask },
    ...facts.variables.map((value): Instruction => ({ does: 'variable', value })),
    { does: 'stand', path: command.directory },
  ];
}

/** @throws Error if it would come back with other rights than it had */
function rightsInstructions({ rights, unkept }: VmmFacts): Instruction[] {
  if (unkept !== null) throw new Error(`its rights cannot be kept: ${unkept}`);
  if (rights === null) return [];
  const bits = (text: string): bigint => BigInt(`0x${text}`);
  const { bounding, inheritable, ambient, noNewPrivileges } = rights;
  return [
    { does: 'rights', bounding: bits(bounding), inheritable: bits(inheritable), ambient: bits(ambient) },
    ...(noNewPrivileges ? [{ does: 'confine' } as const] : []),
  ];
}

/** The pieces as they were recorded, each with its files. Those without files that follow each other are one. */
function cprInstructions(
  { pieces }: SavedMachine,
  socket: string,
  state: number,
  numberOf: NumberOf,
): Instruction[] {
  const joined: { bytes: number; readonly files: readonly Place[] }[] = [];
  for (const { bytes, files } of pieces) {
    const last = joined.at(-1);
    // QEMU takes descriptors where a piece begins: nothing else is joined.
    if (last !== undefined && last.files.length === 0 && files.length === 0) last.bytes += bytes;
    else joined.push({ bytes, files });
  }
  let at = 0;
  const played = joined.flatMap(({ bytes, files }): Instruction[] => {
    const offset = at;
    at += bytes;
    return [
      ...files.map((place): Instruction => ({ does: 'attach', file: numberOf(place) })),
      { does: 'play', file: state, offset, bytes },
    ];
  });
  return [{ does: 'connect', path: socket }, ...played, { does: 'close' }];
}

/** Not `"running": true`: a guest that was suspended to memory is told to run, and goes on being suspended. */
const stoppedNoMore = `!${notRunning.map((status) => `"status": "${status}"`).join('|')}`;

const lineOf = (command: QmpCommand): string => JSON.stringify(command);

export const tell = (command: QmpCommand): Instruction => ({ does: 'tell', command: lineOf(command) });

const attempt = (command: QmpCommand): Instruction => ({ does: 'try', command: lineOf(command) });

/** QEMU writes its answers with a blank behind each colon (`qobject_to_json`). */
export const until = (wanted: string, refused: string, command: QmpCommand): Instruction => ({
  does: 'until',
  wanted,
  refused,
  command: lineOf(command),
});
