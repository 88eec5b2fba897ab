// SPDX-License-Identifier: Apache-2.0
/** How a running VMM was started, from procfs: its program, its words (without those that say how it starts), where it stands and as whom. */
import { readFile, readlink } from 'node:fs/promises';
import { commandLineOf } from '../host/process-files.ts';
import { Refusal } from '../host/refusal.ts';
import type { VmmCommand } from '../liveupdate/machine-head.ts';
import { startingWords } from '../qemu/restart-command.ts';

/** @throws Refusal NoSuchProcess if it ended meanwhile */
export async function commandOfVmm(proc: string, pid: number): Promise<VmmCommand> {
  try {
    const [program, directory, status, words] = await Promise.all([
      readlink(`${proc}/${pid}/exe`),
      readlink(`${proc}/${pid}/cwd`),
      readFile(`${proc}/${pid}/status`, 'latin1'),
      commandLineOf(proc, pid),
    ]);
    // Real, effective, saved and file-system id (proc_pid_status(5)): what it may do is decided by the second.
    const effective = (key: string): number =>
      Number(new RegExp(`^${key}:\\t\\d+\\t(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    return {
      program,
      words: startingWords(words.slice(1)),
      directory,
      uid: effective('Uid'),
      gid: effective('Gid'),
    };
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) {
      throw new Refusal('NoSuchProcess', { pid });
    }
    throw error;
  }
}
