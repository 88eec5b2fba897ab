// SPDX-License-Identifier: Apache-2.0
/**
 * Which way a machine can be carried over, decided from what its VMM says of itself and from its descriptors. There are
 * three ways, the best first. There is no way if the machine could be stopped but not started again. It is better to
 * leave a machine behind on purpose than to lose it by surprise.
 */
import type { MachineDescriptor, MachineState, Way } from '../interface/agent.generated.ts';
import type { QemuCommandLine } from '../qemu/command-line.ts';

/** One of QEMU's memory backends. */
export interface MemoryBackend {
  readonly id: string;
  readonly share: boolean;
  /** Bytes. */
  readonly size: number;
  /** The file it was told to use; null for one that makes its own. */
  readonly path: string | null;
}

/** What QEMU says of how its state can be passed on. */
export interface MigrationFacts {
  /** Whether its further memory (firmware, tables) is shared too; null if this QEMU knows no such thing. */
  readonly auxRamShare: boolean | null;
  readonly backends: readonly MemoryBackend[];
  /** Why its state cannot be passed on, in its own words. */
  readonly blocked: readonly string[];
  /** Ids of its devices, with those added since it was started. */
  readonly devices: readonly string[];
  /** All that people have plugged or its command line names, each with its kind: another one may get the same id. */
  readonly plugged: readonly string[];
}

export interface WayFacts {
  readonly vmm: string;
  readonly version: string | null;
  readonly state: MachineState;
  readonly words: readonly string[];
  readonly line: QemuCommandLine;
  /** Why its monitor could not be asked; empty if it was. */
  readonly monitorDetail: string;
  readonly migration: MigrationFacts | null;
  /** Whether its program was replaced on disk since it was started. */
  readonly programReplaced: boolean;
  /** Files that its command line names, other than memory, and that are in memory only. */
  readonly transientFiles: readonly string[];
  readonly descriptors: readonly MachineDescriptor[];
  /** Bytes; null if not known. */
  readonly memory: number | null;
}

export interface WayFound {
  readonly way: Way;
  readonly wayReason: string;
  readonly expectedBlackoutUs: number | null;
  readonly unlinks: string[];
}

/** The first QEMU with cpr-transfer. */
const cprSince = 10;
/** What a machine's own parts of the blackout take at the least, in µs, and what its memory adds: estimates. */
const restartUs = 250_000;
const copiedBytesPerUs = 400;

/**
 * A device whose memory the guest places: with x-ignore-shared QEMU refuses to take it in anywhere else than it was
 * (`parse_ramblock`), and a QEMU that has just started has not placed it yet. Saved whole it would be no longer the
 * memory that others see.
 */
const memoryOfDevice = /^ivshmem-|"ivshmem-/;

/** States in which QEMU saves no machine (`migrate_prepare`, migration/migration.c), and what to do. */
const whyNotInState: Partial<Record<MachineState, string>> = {
  migrated:
    'it was saved or migrated and has not run since, and QEMU saves none again before that; let it run once, and pause it again',
  incoming: 'its VMM waits for the state of a machine, which is not there yet',
};

/** Decides the way. */
export function findWay(facts: WayFacts): WayFound {
  const none = (wayReason: string): WayFound => ({
    way: 'none',
    wayReason,
    expectedBlackoutUs: null,
    unlinks: [],
  });
  const { vmm, line, migration, descriptors } = facts;
  if (vmm !== 'QEMU') return none(`${vmm} is not a VMM that the agent can save and start again`);
  if (migration === null) return none(`its monitor cannot be asked: ${facts.monitorDetail || 'it has none'}`);
  const unsavable = whyNotInState[facts.state];
  if (unsavable !== undefined) return none(unsavable);
  if (facts.programReplaced)
    return none('its program file was replaced since it started; another version may not accept its state');
  const again = whyNotAgain(facts.words);
  if (again !== null) return none(again);
  const [blocked] = migration.blocked;
  if (blocked !== undefined) return none(`QEMU says that its state cannot be migrated: ${blocked}`);
  const added = migration.devices.filter((id) => !line.deviceIds.has(id));
  const removed = [...line.deviceIds].filter((id) => !migration.devices.includes(id));
  if (added.length > 0)
    return none(`devices were added since it started and are not on its command line: ${added.join(', ')}`);
  if (removed.length > 0)
    return none(`devices on its command line were removed since it started: ${removed.join(', ')}`);
  const memory = descriptors.filter(({ guestMemory }) => guestMemory);
  const [transient] = facts.transientFiles;
  if (transient !== undefined)
    return none(`its command line names ${transient}, which is on tmpfs and does not outlive the kernel`);
  const stuck = descriptors.find(
    ({ fate, kind, guestMemory }) => fate === 'blocks' && !(guestMemory && kind === 'tmpfs_linked'),
  );
  if (stuck) return none(`${stuck.name}: ${stuck.reason}`);
  return fromMemory(facts, migration, memory);
}

function fromMemory(
  facts: WayFacts,
  { auxRamShare, backends }: MigrationFacts,
  memory: readonly MachineDescriptor[],
): WayFound {
  const shared = backends.length > 0 && backends.every(({ share }) => share);
  const named = backends.filter(({ path }) => path !== null);
  const unkept = memory.find(({ fate, kind }) => fate !== 'preservable' && kind !== 'tmpfs_linked');
  const kept = unkept === undefined;
  const major = Number(facts.version?.split('.')[0] ?? 0);
  const unlinks = memory.filter(({ kind }) => kind === 'tmpfs_linked').map(({ name }) => name);
  if (shared && kept && auxRamShare === true && major >= cprSince) {
    // Files that QEMU was told of it does not hand over: it opens them again, at the place it is told then.
    return {
      way: 'cpr',
      wayReason: `its memory is shared and aux-ram-share is on: QEMU ${facts.version} hands over its descriptors and takes them back (cpr-transfer)`,
      expectedBlackoutUs: restartUs,
      unlinks,
    };
  }
  if (facts.words.some((word) => memoryOfDevice.test(word)))
    return {
      way: 'none',
      wayReason: `part of its memory is in a PCI device (ivshmem), which only cpr-transfer can carry over, and ${auxRamShare ? 'its memory is not shared with files that the kernel preserves' : 'aux-ram-share is off'}`,
      expectedBlackoutUs: null,
      unlinks: [],
    };
  if (shared && kept && named.length === backends.length) {
    return {
      way: 'named_memory',
      wayReason:
        'its memory is in a shared, named file, which is preserved; the rest of its state is saved beside it',
      expectedBlackoutUs: restartUs,
      unlinks,
    };
  }
  const why = !shared
    ? 'its memory is not shared with a file'
    : unkept
      ? `the kernel does not preserve the files of its memory as they are (${unkept.name}: ${unkept.reason})`
      : 'its memory is in files without a name and aux-ram-share is off';
  const inherited = backends.find(({ path }) => path !== null && ofStarter.test(path));
  if (inherited)
    return {
      way: 'none',
      wayReason: `${why}; its memory backend ${inherited.id} is a descriptor that its starter handed it, so it cannot be saved whole either`,
      expectedBlackoutUs: null,
      unlinks: [],
    };
  return {
    way: 'whole_state',
    wayReason: `${why}, so it is saved whole: this is slow and takes twice its memory meanwhile`,
    expectedBlackoutUs:
      facts.memory === null ? null : restartUs + 2 * Math.round(facts.memory / copiedBytesPerUs),
    unlinks: [],
  };
}

/** A path that leads to another file in each process. */
const ofStarter = /^\/(proc\/self|dev)\/fd\//;

const plain = (word: string): string => word.replace(/^--/, '-');

/** Descriptors that QEMU got from the process that started it: nobody else can hand them over again. */
const handedDescriptor = /(^|[,:])(fd|fds|vhostfd|vhostfds)=|^\/dev\/fd\/|^-add-fd$/;

/** Why nobody but the one who started a QEMU could start it again with these words; null if anybody can. */
export function whyNotAgain(words: readonly string[]): string | null {
  for (const [index, word] of words.entries()) {
    const option = plain(words[index - 1] ?? '');
    // Memory files are handed over again, as other descriptors; the rest is text for the guest or for people.
    if (option === '-object' && word.includes('memory-backend-file')) continue;
    if (handedDescriptor.test(plain(word)) && option !== '-name' && option !== '-append')
      return `it was started with descriptors that the agent does not have: ${word.slice(0, 80)}`;
    if (plain(word) === '-snapshot')
      return 'it was started with -snapshot: its writes to disk are lost when it ends';
    if (plain(word) === '-loadvm') return 'it was started from a snapshot (-loadvm)';
    if (option === '-display' && /^(gtk|sdl|curses|cocoa)/.test(word))
      return `it shows a window (-display ${word.slice(0, 40)})`;
  }
  return null;
}
