// SPDX-License-Identifier: Apache-2.0
/**
 * How much memory of the host it takes to preserve a machine. The kernel fills every hole of a file that it preserves
 * (`memfd_pin_folios`, `mm/gup.c`), and huge pages fill it before. A guest may have touched a part of its memory only.
 *
 * The file itself says what of it is filled (`st_blocks`). That counts what is in memory, in swap or allocated only
 * (`shmem_recalc_inode`, `mm/shmem.c`). What a VMM has mapped says nothing of that: others may have written it.
 */
import type { Descriptor, FileFacts, Memory } from '@luo-console/native';
import { inMebibytes } from '../host/plain-words.ts';
import { Refusal } from '../host/refusal.ts';
import type { Machine } from '../interface/agent.generated.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';

/** Where the files are. */
export interface Fillable {
  readonly native: { readonly memory: Pick<Memory, 'fileFacts'> };
  readonly sessions: Pick<SessionStore, 'whereIs'>;
  /** A copy of a process's descriptor. @throws Refusal */
  take(pid: number, fd: number): Descriptor;
}

/** Memory that is left to the host, in bytes: what is free changes from moment to moment. */
const spareBytes = 64 * 1024 * 1024;

const holesOf = ({ size, allocated }: FileFacts): number => Math.max(0, Number(size - allocated));

/**
 * The bytes that are allocated when the memory of a machine is preserved, as far as that is not done.
 *
 * @throws Refusal NoSuchProcess, NoSuchDescriptor
 */
export function fillingBytes(
  { native, sessions, take }: Fillable,
  { pid, descriptors, unlinks }: Pick<Machine, 'pid' | 'descriptors' | 'unlinks'>,
): number {
  let sum = 0;
  for (const { fd, kind, fate, name } of descriptors) {
    // One with a name is preserved once that is taken away.
    const isTaken = fate === 'preservable' && (kind === 'memfd' || kind === 'tmpfs_unlinked');
    if (fd === null || !(isTaken || unlinks.includes(name))) continue;
    using file = take(pid, fd);
    const facts = native.memory.fileFacts(file);
    if (sessions.whereIs(facts) === null) sum += holesOf(facts);
  }
  return sum;
}

/**
 * Makes sure that the host has the memory for that: where it has not, the kernel ends processes, and machines with them.
 *
 * @param available free memory that programs can have, in bytes; null if that is unknown
 * @throws Refusal MachineUnusable; what `fillingBytes` throws
 */
export function checkRoom(context: Fillable, machine: Machine, available: number | null): void {
  const needed = fillingBytes(context, machine);
  if (available === null || needed === 0 || needed + spareBytes <= available) return;
  const { pid, name } = machine;
  const reason = `preserving its memory fills ${inMebibytes(needed)} that nobody has written yet; ${inMebibytes(available)} are free, of which ${inMebibytes(spareBytes)} must stay free`;
  throw new Refusal('MachineUnusable', { pid, name, reason });
}
