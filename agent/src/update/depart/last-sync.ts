// SPDX-License-Identifier: Apache-2.0
/**
 * The last sync before the kexec, which drops the page cache. While the machines still run everything is synced, which
 * takes as long as it takes. Once they are stopped, only what they have written since is left. A guest remembers that it
 * has written something, so it must find it on its disk. Its data lies on the file systems and block devices that its
 * VMM has open for writing. Nothing else is waited for while machines are stopped: entries
 * of the journal are on disk when they have been written.
 *
 * QEMU drains and flushes its disks when it stops a machine (`do_vm_stop`, system/cpus.c). That reaches the disk unless
 * it is told not to flush (`cache=unsafe`), and logs and consoles are not flushed at all.
 *
 * A file system may not answer, as one whose server is gone. So each is synced on a thread that can be left behind, and
 * there is a limit. Beyond it the update ends, and the machines run on.
 */
import { readdirSync } from 'node:fs';
import type { Descriptor } from '@luo-console/native';
import { inTime } from '../../host/in-time.ts';
import { saidBy } from '../../host/said-by.ts';
import { isOpenedFile, type WrittenPlace, writtenPlaces } from '../../machines/written-places.ts';
import type { UpdateContext } from '../record/update-context.ts';

/** How long each may take while machines are stopped, in ms. They were synced a moment before, so little is left. */
const usualLimitMs = 10_000;

/** What it works with, of the whole context. */
export type SyncContext = Pick<UpdateContext, 'native' | 'paths' | 'take' | 'log'>;

/** What is synced while machines are stopped. */
interface Target {
  readonly name: string;
  sync(): Promise<void>;
}

interface Written extends WrittenPlace {
  readonly pid: number;
}

export class LastSync {
  readonly #targets: readonly Target[];

  private constructor(targets: readonly Target[]) {
    this.#targets = targets;
  }

  /** Everything: what is written to is not known. */
  static everything({ native }: SyncContext): LastSync {
    return new LastSync([{ name: 'all file systems', sync: () => native.kernel.sync() }]);
  }

  /** What VMMs write to. They run. @param pids of the VMMs */
  static async of(context: SyncContext, pids: readonly number[]): Promise<LastSync> {
    const { paths, log } = context;
    const written = new Map<string, Written>();
    for (const pid of pids)
      for (const place of await writtenPlaces(paths.proc, pid))
        if (!written.has(place.key)) written.set(place.key, { ...place, pid });
    const unknown = [...written.values()].filter(({ kind }) => kind === 'unknown');
    if (unknown.length > 0) {
      log('warning', 'everything is synced while machines are stopped: a mount is not known', {
        files: unknown.map(({ name }) => name),
      });
      return LastSync.everything(context);
    }
    const targets = [...written.values()].map((place): Target => {
      return { name: place.name, sync: () => syncOf(context, place) };
    });
    return new LastSync(targets);
  }

  /** What it syncs, for people. */
  get names(): string[] {
    return this.#targets.map(({ name }) => name);
  }

  /**
   * Syncs all of it at once. The machines are stopped.
   *
   * @param limitMs how long each may take, in ms
   * @throws Error that names what could not be synced, or did not answer
   */
  async run(limitMs = usualLimitMs): Promise<void> {
    const done = await Promise.allSettled(this.#targets.map((target) => syncInTime(target, limitMs)));
    const problems = done.flatMap((each) => (each.status === 'rejected' ? [saidBy(each.reason)] : []));
    if (problems.length > 0) throw new Error(problems.join('; '));
  }
}

/** Syncs a place through the VMM's own descriptor, which the agent has only for that. */
async function syncOf(context: SyncContext, place: Written): Promise<void> {
  const { native, log } = context;
  const file = fileOf(context, place);
  if (file === null) {
    // A VMM that ended since it was saved has left what it wrote.
    log('warning', 'all file systems are synced: a VMM has closed its file', { name: place.name });
    return await native.kernel.sync();
  }
  if (place.kind === 'block device') await native.kernel.syncFile(file);
  else await native.kernel.syncFileSystem(file);
}

/**
 * A VMM's open file, whatever number it has by now. QEMU hands its disks over before it ends a migration, and opens them
 * again then, for reading only (`raw_reconfigure_getfd`, block/file-posix.c). The number may be another file's by now.
 *
 * @returns null if it is closed
 */
function fileOf({ paths, take }: SyncContext, place: Written): Descriptor | null {
  const { pid, fd } = place;
  const own = `${paths.proc}/${pid}`;
  for (const number of isOpenedFile(own, fd, place) ? [fd] : descriptorsOf(own)) {
    if (!isOpenedFile(own, number, place)) continue;
    try {
      return take(pid, number);
    } catch {
      // It has just been closed.
    }
  }
  return null;
}

/** The numbers of a process's descriptors; none of one that has ended. @param own its directory in procfs */
function descriptorsOf(own: string): number[] {
  try {
    return readdirSync(`${own}/fd`).map(Number);
  } catch {
    return [];
  }
}

/** @throws Error if it fails, or does not end in time; then it is left behind */
async function syncInTime({ name, sync }: Target, limitMs: number): Promise<void> {
  try {
    await inTime(sync(), limitMs, () => new Error(`it did not answer within ${limitMs} ms`));
  } catch (error) {
    throw new Error(`${name} could not be synced: ${saidBy(error)}`);
  }
}
