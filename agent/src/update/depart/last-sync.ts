// SPDX-License-Identifier: Apache-2.0
/**
 * The last sync before the kexec, which drops the page cache. While the machines still run everything is synced, which
 * takes as long as it takes. Once they are stopped, only what they have written since is left. A guest remembers that it
 * has written something, so it must find it on its disk. Its data lies on the file systems and block devices that its
 * VMM has open for writing. Nothing else is waited for while machines are stopped.
 *
 * QEMU drains and flushes its disks when it stops a machine (`do_vm_stop`, system/cpus.c). That reaches the disk unless
 * it is told not to flush (`cache=unsafe`), and logs and consoles are not flushed at all.
 *
 * A file system may not answer, as one whose server is gone. So each is synced on a thread that can be left behind, and
 * there is a limit. What is not synced then is told with the VMMs that write there: the policy of the update decides.
 * Where the agent itself writes, or where it is not known who does, the update ends. The machines run on.
 */
import { readdirSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import type { Descriptor, Native } from '@luo-console/native';
import { inTime } from '../../host/in-time.ts';
import { saidBy } from '../../host/said-by.ts';
import { blockDeviceOf, takeUnlessClosed } from '../../machines/taken-file.ts';
import {
  fileSystemKey,
  openedFile,
  type WrittenPlace,
  writtenPlaces,
} from '../../machines/written-places.ts';
import type { UpdateContext } from '../record/update-context.ts';

/** How long each may take while machines are stopped, in ms. They were synced a moment before, so little is left. */
const usualLimitMs = 10_000;

/** How long it may take to find out where VMMs write to, in ms. The kernel answers at once, unless it is in trouble. */
const findMs = 10_000;

/** What it works with, of the whole context. */
export type SyncContext = Pick<UpdateContext, 'native' | 'paths' | 'stateDirectory' | 'take' | 'log'>;

/** What is synced while machines are stopped. */
interface Target {
  readonly name: string;
  /** The VMMs that write there; null if others depend on it as well. */
  readonly pids: readonly number[] | null;
  sync(): Promise<void>;
}

/** A place that could not be synced, or did not answer, and to which only VMMs write. */
export interface Unsynced {
  /** Says which place, and why. */
  readonly problem: string;
  /** The VMMs that write there. */
  readonly pids: readonly number[];
}

/** A place, and each file by which it can be reached. */
interface Written {
  readonly kind: WrittenPlace['kind'];
  readonly key: string;
  readonly name: string;
  readonly files: { readonly pid: number; readonly fd: number; readonly file: string }[];
}

/** How long to wait, in ms, and what ends that as well. */
export interface Waiting {
  readonly limitMs?: number;
  readonly signal?: AbortSignal;
}

export interface Running extends Waiting {
  /** Only the places to which nobody but VMMs writes. */
  readonly ofVmms?: boolean;
  /** Only the places to which one of these VMMs writes, and those that others depend on. */
  readonly pids?: ReadonlySet<number>;
  /**
   * Whether a place that fails is tried once more. The kernel tells each error once: the first may be of a file that
   * somebody wrote long ago.
   */
  readonly again?: boolean;
}

export class LastSync {
  #targets: readonly Target[];
  /** Whether it is of everything, because it is not known what is written to. */
  readonly ofEverything: boolean;

  private constructor(targets: readonly Target[], ofEverything = false) {
    this.#targets = targets;
    this.ofEverything = ofEverything;
  }

  /** Everything: what is written to is not known. */
  static everything({ native }: SyncContext): LastSync {
    const target = { name: 'all file systems', pids: null, sync: () => native.kernel.sync() };
    return new LastSync([target], true);
  }

  /**
   * What VMMs write to, and the agent itself. They run.
   *
   * @param pids of the VMMs
   * @throws Error if it is not known in time; the signal's reason
   */
  static async of(
    context: SyncContext,
    pids: readonly number[],
    { limitMs = findMs, signal }: Waiting = {},
  ): Promise<LastSync> {
    const late = (): Error => new Error(`it was not found out within ${limitMs} ms where machines write to`);
    return await inTime(LastSync.#find(context, pids), limitMs, late, signal);
  }

  static async #find(context: SyncContext, pids: readonly number[]): Promise<LastSync> {
    const { native, paths, stateDirectory, log } = context;
    const blockDevice = (pid: number, fd: number): bigint | null => blockDeviceOf(context, pid, fd);
    const written = new Map<string, Written>();
    for (const pid of new Set(pids))
      for (const place of await writtenPlaces({ proc: paths.proc, blockDevice }, pid)) {
        const { kind, key, name, fd, file } = place;
        const known = written.get(key) ?? { kind, key, name, files: [] };
        known.files.push({ pid, fd, file });
        written.set(key, known);
      }
    const unknown = [...written.values()].filter(({ kind }) => kind === 'unknown');
    if (unknown.length > 0) {
      log('warning', 'everything is synced while machines are stopped: a mount is not known', {
        files: unknown.map(({ name }) => name),
      });
      return LastSync.everything(context);
    }
    const own = fileSystemKey(await stat(stateDirectory));
    const targets = [...written.values()].map((place): Target => {
      // The journal's file system is a VMM's too where nothing else was set up.
      const others = place.key === own;
      const writers = [...new Set(place.files.map(({ pid }) => pid))];
      return { name: place.name, pids: others ? null : writers, sync: () => syncOf(context, place) };
    });
    if (!written.has(own))
      targets.push({
        name: `the file system of ${stateDirectory}`,
        pids: null,
        sync: async () => await native.kernel.syncFileSystem(await directoryOf(native, stateDirectory)),
      });
    return new LastSync(targets);
  }

  /** What it syncs, for people. */
  get names(): string[] {
    return this.#targets.map(({ name }) => name);
  }

  /**
   * Syncs all of it at once, or only the places to which nobody but VMMs writes. A place of those that fails is told once
   * and left out from then on: it costs its machines.
   *
   * @param limitMs how long each may take, in ms
   * @param signal ends the wait
   * @returns what could not be synced, or did not answer, and to which only VMMs write
   * @throws Error that names all of it, if there is anything else among it; the signal's reason
   */
  async run({
    limitMs = usualLimitMs,
    signal,
    ofVmms = false,
    pids: of,
    again = false,
  }: Running = {}): Promise<Unsynced[]> {
    const chosen = this.#targets.filter(({ pids }) =>
      pids === null ? !ofVmms : of === undefined || pids.some((pid) => of.has(pid)),
    );
    const problems = await Promise.all(chosen.map((target) => problemOf(target, { limitMs, signal, again })));
    signal?.throwIfAborted();
    const failed = chosen.flatMap((target, index) => {
      const problem = problems[index] ?? null;
      return problem === null ? [] : [{ target, problem }];
    });
    if (failed.some(({ target }) => target.pids === null))
      throw new Error(failed.map(({ problem }) => problem).join('; '));
    this.#targets = this.#targets.filter((each) => !failed.some(({ target }) => target === each));
    return failed.map(({ target, problem }) => ({ problem, pids: target.pids ?? [] }));
  }
}

/** Syncs a place through the VMM's own descriptor, which the agent has only for that. */
async function syncOf(context: SyncContext, place: Written): Promise<void> {
  const { native, log } = context;
  const file = fileOf(context, place);
  if (file === null) {
    // A VMM that ended since it was saved has left what it wrote.
    log('warning', 'all file systems are synced: VMMs have closed their files', { name: place.name });
    return await native.kernel.sync();
  }
  if (place.kind === 'block device') await native.kernel.syncBlockDevice(file);
  else await native.kernel.syncFileSystem(file);
}

/**
 * The first of a place's open files that is there, whatever number it has by now. QEMU hands its disks over before it ends a migration, and opens them
 * again then, for reading only (`raw_reconfigure_getfd`, block/file-posix.c). The number may be another file's by now.
 *
 * @returns null if all are closed
 * @throws Refusal if one cannot be had for another reason
 */
function fileOf(context: SyncContext, { files }: Written): Descriptor | null {
  for (const { pid, fd, file } of files) {
    const own = `${context.paths.proc}/${pid}`;
    const isIt = (number: number): boolean => openedFile(own, number) === file;
    for (const number of isIt(fd) ? [fd] : numbersIn(own)) {
      if (!isIt(number)) continue;
      const taken = takeUnlessClosed(context, pid, number);
      if (taken !== null) return taken;
    }
  }
  return null;
}

/** The numbers of a process's open files. One that has ended has none. */
function numbersIn(own: string): number[] {
  try {
    return readdirSync(`${own}/fd`).map(Number);
  } catch {
    return [];
  }
}

/** @returns why it could not be synced; it is left behind if it does not end in time or the signal ends the wait */
async function problemOf(
  { name, sync }: Target,
  { limitMs, signal, again }: { limitMs: number; signal: AbortSignal | undefined; again: boolean },
): Promise<string | null> {
  const late = new Error(`it did not answer within ${limitMs} ms`);
  try {
    await inTime(sync(), limitMs, () => late, signal);
    return null;
  } catch (error) {
    if (again && error !== late && !signal?.aborted)
      return await problemOf({ name, pids: null, sync }, { limitMs, signal, again: false });
    return `${name} could not be synced: ${saidBy(error)}`;
  }
}

async function directoryOf({ descriptors }: Native, path: string): Promise<Descriptor> {
  const handle = await open(path, 'r');
  try {
    return descriptors.duplicate(handle.fd);
  } finally {
    await handle.close();
  }
}
