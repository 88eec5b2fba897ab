// SPDX-License-Identifier: Apache-2.0
/** How a running VMM was started, from procfs: its program, its words (without those that say how it starts), where it stands and as whom. */
import { readlink } from 'node:fs/promises';
import { commandLineOf, effectiveUser } from '../host/process-files.ts';
import { Refusal } from '../host/refusal.ts';
import type { VmmCommand } from '../liveupdate/machine-head.ts';
import { startingWords } from '../qemu/restart-command.ts';

/** @throws Refusal NoSuchProcess if it ended meanwhile */
export async function commandOfVmm(proc: string, pid: number): Promise<VmmCommand> {
  try {
    const [program, directory, user, words] = await Promise.all([
      readlink(`${proc}/${pid}/exe`),
      readlink(`${proc}/${pid}/cwd`),
      effectiveUser(proc, pid),
      commandLineOf(proc, pid),
    ]);
    return { program, words: startingWords(words.slice(1)), directory, ...user };
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) {
      throw new Refusal('NoSuchProcess', { pid });
    }
    throw error;
  }
}
