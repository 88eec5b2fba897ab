// SPDX-License-Identifier: Apache-2.0
/**
 * Takes the state of a running machine as an update does, has something done with it, and lets the machine run on.
 * It does so always, and within a limit. The machine is marked until it runs. If the agent dies meanwhile, the next one
 * lets it run on.
 *
 * The state is used while the guest is still stopped. Otherwise it would not fit the guest's memory, because a device's
 * queue may have gone on there. QEMU would refuse a state that loads well in an update.
 */
import type { Descriptor, Native } from '@luo-console/native';
import type { Adopted } from '../adoption/adoption-context.ts';
import type { Adoptions } from '../adoption/adoptions.ts';
import { runOn } from '../adoption/run-on.ts';
import { MachineSaver } from '../adoption/save.ts';
import type { HostPaths } from '../host/paths.ts';
import { inMebibytes } from '../host/plain-words.ts';
import { identify } from '../host/process-files.ts';
import { saidBy } from '../host/said-by.ts';
import { socketSeenBy } from '../host/seen-by.ts';
import type { Unended } from '../host/unended.ts';

export interface StateContext {
  readonly native: Native;
  readonly paths: Pick<HostPaths, 'proc'>;
  readonly adoptions: { readonly stopped: Pick<Adoptions['stopped'], 'mark' | 'letRunOn'> };
  readonly socketDirectory: string;
  readonly unended: Unended;
  nowUs(): number;
}

/** Longest that the guest is stopped, in ms. */
const stopLimitMs = 5000;
/** What is made ready for the state, in bytes: memory is not in it. */
const stateBytes = 2 * 1024 * 1024;

/** Most that is copied while the guest is stopped, in bytes. */
const mostBytes = 64 * 1024 * 1024;

/**
 * The guest does not run. Its state is not taken: QEMU saves a paused guest once, and no more before it has run
 * (`migrate_prepare`, migration/migration.c). An update could not save it then.
 */
export class GuestPaused extends Error {
  override readonly name = 'GuestPaused';
}

/** What is done while the guest is stopped. */
type Doing = 'saving' | 'copying' | 'loading';

/** The guest had to run on. An update stops it for longer, so this is a problem only where a VMM takes nothing in. */
export class TookTooLong extends Error {
  override readonly name = 'TookTooLong';
  readonly doing: Doing;

  constructor(message: string, doing: Doing) {
    super(message);
    this.doing = doing;
  }
}

/** The guest did not run on at once. It is told to again and again. */
export class DoesNotRunOn extends Error {
  override readonly name = 'DoesNotRunOn';
}

/**
 * @param into gets the state, and is as long as that
 * @param use what to do with it while the guest is stopped
 * @param signal ends it early
 * @param ranOn is told for how long the guest was stopped, in µs, once it runs on; also if this fails
 * @returns for how long the guest was stopped, in µs
 * @throws GuestPaused; TookTooLong; DoesNotRunOn; what `use` throws; QmpError, StreamError, NotSavable; the signal's reason.
 *   The guest runs on, or is told to again and again.
 */
export async function takeState(
  context: StateContext,
  adopted: Adopted,
  into: Descriptor,
  use: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
  ranOn: (stoppedUs: number) => void = () => {},
): Promise<number> {
  const { adoptions, native, nowUs, paths, socketDirectory, unended } = context;
  const { session, machine } = adopted;
  const { stopped } = adoptions;
  const late = new AbortController();
  const either = AbortSignal.any([signal, late.signal]);
  const saver = await MachineSaver.prepare({
    native,
    unended,
    pid: machine.pid,
    way: 'named_memory',
    monitor: socketSeenBy(paths.proc, machine.pid, machine.monitor),
    socketDirectory,
    user: machine.command,
    expectedBytes: stateBytes,
    limitMs: stopLimitMs,
    preserve: null,
    earlier: machine.before,
    note: (before) => stopped.mark(session, { before }),
    signal: either,
    nowUs,
  }).catch((error: unknown) => {
    // If its settings could not be put back, that is noted, and is tried again.
    void stopped.letRunOn();
    throw error;
  });
  const failure = await usedStopped(context, { session, saver, into }, use, either, late).then(
    () => null,
    (error: unknown) => ({ error }),
  );
  let ranAtUs = nowUs();
  const letRunOn = async (): Promise<string | null> => {
    const instead = await saver.letRunOn();
    ranAtUs = nowUs();
    return instead;
  };
  const saved = { ran: saver.ran, letRunOn, putBack: () => saver.putBack() };
  const isThere = async (): Promise<boolean> =>
    (await identify(paths.proc, machine.pid))?.startTime === machine.startTime;
  const problems = await runOn({ adopted }, saved, { mark: stopped.mark.bind(stopped), isThere }).then(
    (how) => how.problems,
    (error: unknown) => [`its guest could not be let run on, and is told again: ${saidBy(error)}`],
  );
  saver.close();
  if (problems.length > 0) {
    // Its monitor is free now.
    void stopped.letRunOn();
    throw new DoesNotRunOn([...problems, ...(failure === null ? [] : [saidBy(failure.error)])].join('; '));
  }
  const stoppedUs = saver.suspendedAtUs === null ? 0 : ranAtUs - saver.suspendedAtUs;
  if (stoppedUs > 0) ranOn(stoppedUs);
  if (failure !== null) throw failure.error;
  return stoppedUs;
}

/** Stops the guest and has its state used. The caller lets it run on, whatever comes of this. */
async function usedStopped(
  { adoptions, native }: StateContext,
  { session, saver, into }: { session: string; saver: MachineSaver; into: Descriptor },
  use: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
  late: AbortController,
): Promise<void> {
  if (!saver.ran)
    throw new GuestPaused('its guest does not run, and QEMU would save it once only, before an update could');
  await saver.collect();
  adoptions.stopped.mark(session, { suspended: true, before: saver.before });
  let doing: Doing = 'saving';
  const tooLong = (): TookTooLong => {
    const what = doing === 'saving' ? 'its VMM had not saved it' : 'the new VMM had not loaded it';
    return new TookTooLong(`${what} after ${stopLimitMs} ms, and its guest is not stopped for longer`, doing);
  };
  const timer = setTimeout(() => late.abort(tooLong()), stopLimitMs);
  try {
    const { file, mainBytes } = await saver.save();
    if (mainBytes > mostBytes)
      throw new TookTooLong(
        `its state has ${inMebibytes(mainBytes)}, and its guest would be stopped while it is copied`,
        'copying',
      );
    native.memory.truncate(into, BigInt(mainBytes));
    native.memory.write(into, 0n, native.memory.read(file, 0n, mainBytes));
    doing = 'loading';
    await use(signal);
  } finally {
    clearTimeout(timer);
  }
}
