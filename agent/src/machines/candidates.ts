// SPDX-License-Identifier: Apache-2.0
/**
 * Which processes have descriptors that the kernel could preserve. Found by looking through `/proc/PID/fd`;
 * processes that end meanwhile, or may not be looked at, are passed over.
 */
import { readdir, readlink, stat } from 'node:fs/promises';
import type { Candidate, Kind, ProcessCandidates } from '../interface/agent.generated.ts';

/** What is found out about an open file; `kind` decides whether it is a candidate. */
export interface OpenFile {
  readonly kind: Kind;
  readonly name: string;
  readonly size: number | null;
  readonly inode: number;
  readonly device: number;
}

export interface CandidateSources {
  readonly proc: string;
  /** Describes the file behind a link such as `/proc/1/fd/3`. */
  describe(link: string): Promise<OpenFile>;
  /** Where a file is preserved already, or null. */
  whereIs(facts: { dev: bigint; ino: bigint }): { session: string; token: string } | null;
  commandOf(pid: number): Promise<string | null>;
  userOf(uid: number): Promise<string>;
}

const interesting: ReadonlySet<Kind> = new Set(['memfd', 'tmpfs_unlinked', 'tmpfs_linked', 'hugetlb']);

/** Files that every process has and nobody wants to preserve. */
const uninteresting =
  /^\/(memfd:(luo-manifest|luo-index|doublemapper|libffi|pulseaudio|xshmfence)|dev\/shm\/\.org\.chromium)/;

/** All processes but this one that have candidates, by pid. */
export async function listCandidates(sources: CandidateSources): Promise<ProcessCandidates[]> {
  const found: ProcessCandidates[] = [];
  const pids = (await readdir(sources.proc).catch(() => []))
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid)
    .sort((left, right) => left - right);
  for (const pid of pids) {
    const descriptors = await candidatesOf(sources, pid);
    if (descriptors.length === 0) continue;
    const owner = await stat(`${sources.proc}/${pid}`).catch(() => null);
    const command = await sources.commandOf(pid);
    if (owner === null || command === null) continue;
    found.push({ pid, user: await sources.userOf(owner.uid), command, descriptors });
  }
  return found;
}

async function candidatesOf(sources: CandidateSources, pid: number): Promise<Candidate[]> {
  const directory = `${sources.proc}/${pid}/fd`;
  const numbers = (await readdir(directory).catch(() => [])).map(Number).sort((left, right) => left - right);
  const candidates: Candidate[] = [];
  for (const fd of numbers) {
    const link = `${directory}/${fd}`;
    try {
      // Most descriptors are sockets and pipes: the name alone rules them out.
      const name = await readlink(link);
      if (!name.startsWith('/') || uninteresting.test(name)) continue;
      const file = await sources.describe(link);
      if (!interesting.has(file.kind)) continue;
      const where = sources.whereIs({ dev: BigInt(file.device), ino: BigInt(file.inode) });
      candidates.push({
        fd,
        kind: file.kind,
        name: file.name,
        size: file.size ?? 0,
        inode: file.inode,
        session: where?.session ?? null,
        token: where?.token ?? null,
      });
    } catch {
      // Closed while this was looking.
    }
  }
  return candidates;
}
