// SPDX-License-Identifier: Apache-2.0
/**
 * The last question before the kexec: whether each machine is still as it was saved. Somebody with another monitor may
 * have let it run, and then its memory does not fit its state any more. It is asked while all are stopped, so it is
 * short.
 */
import { inTime } from '../host/in-time.ts';
import { saidBy } from '../host/said-by.ts';
import type { MachineHead } from '../liveupdate/machine-head.ts';
import type { MachineSaver } from './save.ts';

/** How long all VMMs together may take to answer, in ms, and procfs after them: each is connected, and has nothing else to do. */
const questionMs = 1000;

interface Saved {
  readonly adopted: { readonly machine: MachineHead };
  readonly saver: Pick<MachineSaver, 'stillSaved'> | null;
}

/**
 * @param isThere whether a machine's VMM still is the process that it was
 * @returns which machine is not as it was saved, or is not known to be; null if all are
 */
export async function problemOfSaved(
  machines: readonly Saved[],
  isThere: (machine: MachineHead) => Promise<boolean>,
): Promise<string | null> {
  const over = new AbortController();
  const timer = setTimeout(
    () => over.abort(new Error(`its VMM did not answer in ${questionMs} ms`)),
    questionMs,
  );
  const problems = await Promise.all(
    machines.map(async ({ adopted: { machine }, saver }) => {
      const asking = saver?.stillSaved(over.signal) ?? Promise.resolve(null);
      const problem = await asking.catch(async (error: unknown) => {
        const unknown = `it is not known whether it is stopped: ${saidBy(error)}`;
        // A guest has ended with its VMM. Where procfs does not answer either, it is taken to be there.
        const late = (): Error => new Error('procfs does not answer');
        return (await inTime(isThere(machine), questionMs, late).catch(() => true)) ? unknown : null;
      });
      return problem === null ? [] : [`${machine.name} cannot be carried over: ${problem}`];
    }),
  ).finally(() => clearTimeout(timer));
  const all = problems.flat();
  return all.length === 0 ? null : all.join('; ');
}
