// SPDX-License-Identifier: Apache-2.0
/**
 * Has a saved machine run again by the same program, and the same executor of it, as in a kernel that starts with the
 * carrier. The agent compiles the program of this one machine. Process 1 starts the carrier in the machine's unit, with
 * the program and its files. So an agent that ends meanwhile leaves nothing half done.
 *
 * The carrier limits each of its waits itself, and writes the marks. What it did is in its log.
 */
import { rmSync } from 'node:fs';
import type { Descriptor, Native } from '@luo-console/native';
import { readMark } from '../../adoption/restart-mark.ts';
import { isUnitThere, RanPerhaps, type RestoreOptions } from '../../adoption/restore.ts';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import { saidBy } from '../../host/said-by.ts';
import { makeMeetingPlace } from '../../host/socket-directory.ts';
import { readKernelFacts } from '../../kernel/facts.ts';
import { ManagerRefusal } from '../../units/manager-bus.ts';
import { type LoggedMachine, readLog } from './carrier-log.ts';
import { compileProgram, filesOf } from './compile.ts';
import { encodeProgram } from './encode.ts';
import { type KernelModules, modulesOf } from './kernel-modules.ts';
import { usualFacts } from './usual-facts.ts';

/** How long an attempt waits for what the machine needs if nothing else is said, in seconds. It was waited for before. */
const usualLimitS = 1;

/** The number of a program's only machine. */
const only = 0;

/**
 * A name and a token for the place of the state: nothing else of a machine has that token. The carrier does not look at
 * names and tokens of files that are handed to it.
 */
const stateAt = { session: 'state', token: '0xffffffffffffffff' };

/**
 * @returns the new VMM's process
 * @throws Error that says what went wrong, in the carrier's words where it has any. The VMM is ended then.
 *   RanPerhaps if the guest may have run: the VMM is left alone.
 */
export async function restoreMachine(options: RestoreOptions): Promise<number> {
  const { machine, native, starter, state } = options;
  const mayHaveRun = (): boolean => readMark(native.memory, state, machine) === 'running';
  // By an attempt that could not be followed to its end.
  if (mayHaveRun()) throw new RanPerhaps(new Error('this was found out when it was tried again'));
  const directory = makeMeetingPlace(options.socketDirectory, null);
  // One that may go on needs it.
  let mayGoOn = false;
  try {
    const { program, files } = await programOf(options, directory);
    using file = fileWith(native, program);
    const paths = [file, ...files].map(({ fd }, number) => ({
      path: `/proc/${process.pid}/fd/${fd}`,
      name: number === 0 ? 'program' : `file${number - 1}`,
    }));
    const failure = await starter.resume(machine, { files: paths, directory }).then(
      () => null,
      (error: unknown) => ({ error }),
    );
    // Nobody was told how it ended, as when the service manager was started again: it may go on, and is not to be
    // stopped in the moment in which the guest begins to run.
    if (
      failure !== null &&
      !(failure.error instanceof ManagerRefusal) &&
      whatItDid(native, directory).failed === null
    ) {
      mayGoOn = true;
      await starter.settle(machine);
      mayGoOn = false;
    }
    const { reached, failed, ...log } = whatItDid(native, directory);
    for (const [point, atNs] of reached) options.reached(point, atNs);
    options.logged?.(log);
    if (failure === null && failed === null) return await starter.pid(machine);
    const cause = failed === null ? failure?.error : new Error(failed, { cause: failure?.error });
    if (mayHaveRun()) throw new RanPerhaps(cause);
    // A unit that was there before is somebody else's.
    if (!isUnitThere(failure?.error)) await starter.stop(machine).catch(() => {});
    // The carrier has not stood still until it was stopped.
    throw cause;
  } catch (error) {
    // Whatever failed: its new process is not found, or what was reached cannot be told on.
    throw mayHaveRun() && !(error instanceof RanPerhaps) ? new RanPerhaps(error) : error;
  } finally {
    if (!mayGoOn) rmSync(directory, { recursive: true, force: true });
  }
}

/** The program of the machine, and its files in the program's order. */
async function programOf(
  options: RestoreOptions,
  directory: string,
): Promise<{ program: Buffer; files: Descriptor[] }> {
  const { machine, state, file } = options;
  const facts = machine.facts ?? usualFacts(machine);
  const saved: SavedMachine = {
    ...machine,
    state: machine.state && { ...machine.state, token: stateAt.token },
  };
  const parts = {
    index: stateAt.session,
    machines: [{ saved, facts }],
    directory,
    limitS: options.needLimitS ?? usualLimitS,
    // Most machines need none, and then nothing is read.
    modules: facts.modules.length === 0 ? null : await runningModules(options),
  };
  const [, ...others] = filesOf(parts);
  return { program: encodeProgram(compileProgram(parts)), files: [state, ...others.map(file)] };
}

/** The modules of the running kernel. A carrier before may have loaded them, which does no harm. */
async function runningModules({ paths, log }: RestoreOptions): Promise<KernelModules | null> {
  try {
    return modulesOf({ paths, log }, await readKernelFacts(paths));
  } catch (error) {
    log('warning', 'it is unknown which kernel runs: no modules are loaded for a machine', {
      problem: saidBy(error),
    });
    return null;
  }
}

export function fileWith({ memory }: Native, content: Buffer): Descriptor {
  const file = memory.memfdCreate('luo-resume-program');
  try {
    memory.truncate(file, BigInt(content.length));
    memory.write(file, 0n, content);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** What the log has of the only machine of a program. `failed` is why it or the carrier failed; null if neither did. */
export function whatItDid({ kernel }: Native, directory: string): Omit<LoggedMachine, 'waits'> {
  const { machines, failed: carrierFailed } = readLog(directory, kernel.clock('boottime'));
  const { reached, failed, waited, done, failedAt } = machines.get(only) ?? nothingSaid;
  return { reached, failed: failed ?? carrierFailed, waited, done, failedAt };
}

const nothingSaid: Omit<LoggedMachine, 'waits'> = {
  ...{ reached: new Map(), failed: null },
  ...{ waited: [], done: [], failedAt: null },
};
