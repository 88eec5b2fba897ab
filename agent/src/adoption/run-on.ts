// SPDX-License-Identifier: Apache-2.0
/** A machine of an update runs on in this kernel, with the migration settings that it had. */
import { saidBy } from '../host/said-by.ts';
import type { MachineHead } from '../liveupdate/machine-head.ts';
import type { Adopted } from './adoption-context.ts';
import type { MachineSaver } from './save.ts';
import type { StoppedMark } from './stopped-machines.ts';

interface Marks {
  mark(session: string, change: StoppedMark): void;
  isThere(machine: MachineHead): Promise<boolean>;
}

/**
 * Lets a machine run on, if it ran before, and puts its migration settings back.
 *
 * @returns how it is, and what did not go well
 * @throws QmpError if it could not be let run on: its mark stays
 */
export async function runOn(
  { adopted: { machine, session } }: { readonly adopted: Adopted },
  saver: Pick<MachineSaver, 'letRunOn' | 'putBack' | 'ran'>,
  { mark, isThere }: Marks,
): Promise<{ detail: string; problems: string[] }> {
  const { name } = machine;
  const instead = await saver.letRunOn();
  mark(session, { suspended: false });
  const left = `its state is "${instead}", which the update has not caused, and stays so`;
  const problems = instead === null ? [] : [`${name} does not run on: ${left}`];
  await saver.putBack().catch(async (error: unknown) => {
    // There is nothing to put back of a VMM that has ended.
    if (await isThere(machine))
      problems.push(`the migration settings of ${name} are not as before yet: ${saidBy(error)}`);
  });
  const detail = saver.ran ? 'it runs on in this kernel' : 'it does not run, as before the update';
  return { detail: instead === null ? detail : left, problems };
}
