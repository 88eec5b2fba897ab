// SPDX-License-Identifier: Apache-2.0
/** Searches the processes whose descriptors could be preserved. */
import type { Candidate, ProcessCandidates } from '@luo-console/agent/interface';

export interface Choice {
  pid: number;
  fd: number;
}

/** The processes and descriptors that fit what was typed: part of the command, the user or the name, or the pid. */
export function search(processes: readonly ProcessCandidates[], wanted: string): ProcessCandidates[] {
  const text = wanted.trim().toLowerCase();
  if (text === '') return [...processes];
  return processes.flatMap((process) => {
    const itself = [String(process.pid), process.command, process.user].some((field) =>
      field.toLowerCase().includes(text),
    );
    const descriptors = itself
      ? process.descriptors
      : process.descriptors.filter(({ name }) => name.toLowerCase().includes(text));
    return descriptors.length > 0 ? [{ ...process, descriptors }] : [];
  });
}

/** What of the choices is still there and can be preserved: a process may have ended since it was chosen. */
export function stillThere(chosen: readonly Choice[], processes: readonly ProcessCandidates[]): Choice[] {
  return chosen.filter(({ pid, fd }) => {
    const candidate = processes.find((one) => one.pid === pid)?.descriptors.find((one) => one.fd === fd);
    return candidate !== undefined && whyNotChoose(candidate) === null;
  });
}

/** Why a candidate cannot be chosen, or null. */
export function whyNotChoose(candidate: Candidate): string | null {
  if (candidate.session)
    return `preserved in ${candidate.session}${candidate.token ? ` under ${candidate.token}` : ''}`;
  if (candidate.kind === 'tmpfs_linked') return 'still has a name in a file system';
  if (candidate.kind === 'hugetlb') return 'huge pages: the kernel cannot preserve them';
  if (candidate.kind === 'other') return 'the kernel cannot preserve this kind of file';
  return null;
}
