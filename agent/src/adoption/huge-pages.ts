// SPDX-License-Identifier: Apache-2.0
/** The memory of a machine is put into huge pages just before it is preserved, see `liveupdate/collapse.ts`. */
import type { Descriptor, Native } from '@luo-console/native';
import type { Unended } from '../host/unended.ts';
import type { MachineDescriptor } from '../interface/agent.generated.ts';
import { type Collapsed, collapseMemory, hugePageBytes } from '../liveupdate/collapse.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';

export interface HugePagesContext {
  readonly native: Native;
  readonly sessions: SessionStore;
  readonly unended: Unended;
  log(level: 'info' | 'warning', message: string, fields?: Record<string, unknown>): void;
}

/** How the caller follows it. */
export interface Following {
  /** Ends it, and the preserving that would follow. */
  readonly signal?: AbortSignal;
  /** Told how many bytes of a file have been gone through, of how many. */
  readonly onProgress?: (doneBytes: number, bytes: number) => void;
}

/** Files that take so long that the log says how far they are: by the tenth. */
const toldFromBytes = 1 << 30;

/** Whether it is memory that the kernel preserves, and large enough. */
export function canBeHuge({ kind, size }: MachineDescriptor): boolean {
  return (kind === 'memfd' || kind === 'tmpfs_unlinked') && (size ?? 0) >= hugePageBytes;
}

/**
 * Collapses one memory file of a machine. It ends early when its session is closed, or when the file is preserved
 * meanwhile: an update that begins does not wait.
 *
 * @param label what the log calls it
 */
export async function collapseFor(
  { native, sessions, unended, log }: HugePagesContext,
  session: string,
  file: Descriptor,
  label: string,
  { signal, onProgress }: Following,
): Promise<Collapsed> {
  const facts = native.memory.fileFacts(file);
  const over = new AbortController();
  const look = (): void => {
    if (!sessions.has(session) || sessions.whereIs(facts) !== null) over.abort();
  };
  let told = 0;
  const tell = (done: number, bytes: number): void => {
    onProgress?.(done, bytes);
    const tenth = Math.floor((done / bytes) * 10);
    if (bytes < toldFromBytes || tenth === told || done === bytes) return;
    told = tenth;
    log('info', 'memory is being put into huge pages', { session, label, done, bytes });
  };
  sessions.events.on('changed', look);
  try {
    const collapsed = await collapseMemory({ ...native, unended }, file, {
      signal: signal ? AbortSignal.any([over.signal, signal]) : over.signal,
      onProgress: tell,
    });
    const level = collapsed.problem === null ? 'info' : 'warning';
    log(level, 'memory was put into huge pages', { session, label, ...collapsed });
    return collapsed;
  } finally {
    sessions.events.off('changed', look);
  }
}

/** Several files taken together. */
export function together(files: readonly Collapsed[]): Collapsed {
  const problems = files.flatMap(({ problem }) => problem ?? []);
  return {
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    hugeBytes: files.reduce((sum, { hugeBytes }) => sum + hugeBytes, 0),
    problem: problems.length === 0 ? null : [...new Set(problems)].join('; '),
  };
}
