// SPDX-License-Identifier: Apache-2.0
/**
 * Replaces the VMM of one machine by a new one in this kernel. The save, the resume program and its executor are those of
 * an update. What is different is that the old VMM is still there:
 *
 *     running → ready to stop → stopped, saved → new VMM loads → told to run → runs → the old one is ended
 *        ↑            │               │                │             │
 *        └────────────┴───────────────┴────────────────┘             └→ never loaded again, and the old one not let run
 *          the new one is known to have ended, and the old one runs on
 *
 * What was begun is in the manifest before the guest is stopped (`MachineRenewal`), and with the marks of an update. An
 * agent that finds it goes on from there (`adoption/replaced-vmm.ts`): it waits for the carrier, which goes on alone.
 *
 * - A limit holds from the stop on (`host/stop-clock.ts`). Once it has passed, the carrier's worker is ended: only that
 *   lets the guest run. The mark behind the state then says for good whether it did.
 * - Whatever failed of the start, the mark is read before the old one is let run. It is read once nothing is being started
 *   any more, and again once the new VMM has ended.
 * - Both VMMs listen at the same paths. The old one's sockets have other names meanwhile. It is killed at its end, as it
 *   would remove the new one's otherwise.
 * - The new VMM has ended after it was told to run. The memory may have changed since the state was saved, so the old one
 *   stays stopped. Its owner may let it run all the same.
 * - Whether the new one runs is unknown: both stay as they are, and it is asked again without end.
 *
 * Tests:
 *     agent/test/carrier/renewal.test.ts
 *       goes on in its new VMM: %s
 *       that is paused stays so in its new VMM
 *       runs on in its old VMM if the new one fails: %s
 *       runs on in its old VMM after the limit if the new one hangs: %s
 *       runs on in its old VMM if the agent is to end
 *       whose old VMM cannot be saved runs on in it, and no new one is started
 *       whose new VMM refuses to let it run runs on in its old one, once the new one has ended
 *       is not let run while it is unknown whether the new VMM has ended
 *       runs on although a socket cannot have its name back yet, which is tried again
 *       whose socket is another user’s by now is not touched
 *       whose socket others could take the place of is not touched
 *       is left stopped if its new VMM ends after it was told to run
 *       is left stopped if its new VMM ends in the moment in which it was told to run
 *       is left stopped if its new VMM is told to run just before its unit is stopped
 *       goes on in its new VMM although the service manager cannot be heard from its start on
 *       goes on in its new VMM although it cannot be noted that this has its state
 *       runs on in its old VMM after the limit also where the service manager cannot be heard
 *       is not touched if its new VMM could not have all of it: %s %s
 *       leaves a machine that goes on in its new VMM: %s
 *       before there is a new VMM leaves the old one to be let run
 *       with a new VMM that fails leaves the old one to be let run: %s
 *       with a new VMM that has run and ended leaves the machine stopped
 *       before the old VMM has ended leaves that to be ended
 *     agent/test/renewals.test.ts
 *       it is not released, and no update begins
 *       an agent that is told to end waits for it
 *       an agent that is told to end waits for it without a limit as long as its guest is stopped
 */
import { fstatSync } from 'node:fs';
import type { Descriptor } from '@luo-console/native';
import type { Adopted } from '../adoption/adoption-context.ts';
import { endReplaced, giveNamesBack, leaveStopped, setNamesAside } from '../adoption/replaced-vmm.ts';
import { runOn } from '../adoption/run-on.ts';
import { newRun, savedMachine } from '../adoption/run-records.ts';
import type { MachineSaver } from '../adoption/save.ts';
import type { SavedMachine } from '../adoption/saved-machine.ts';
import { identify } from '../host/process-files.ts';
import { saidBy } from '../host/said-by.ts';
import { StopClock } from '../host/stop-clock.ts';
import type { Renewal } from '../interface/agent.generated.ts';
import type { Place } from '../liveupdate/session-entries.ts';
import type { Piece } from '../qemu/streams.ts';
import { makeReady, needOpen, type Ready, type RenewalContext, type RenewOptions } from './make-ready.ts';
import { type Begun, startNew, untilDone } from './start-new.ts';

/** The token of a machine's state, and the session that its handed descriptors are said to be in. */
const stateToken = '0xffffffffffffffff';
const handedSession = 'renewal';

/**
 * @returns what came of it, once the guest was to be stopped
 * @throws NotRenewable, and what getting ready fails with. Nothing was changed then.
 */
export async function renewMachine(context: RenewalContext, options: RenewOptions): Promise<Renewal> {
  return await new OneRenewal(context, options).run();
}

class OneRenewal {
  readonly #context: RenewalContext;
  readonly #options: RenewOptions;
  readonly #late = new AbortController();
  readonly #signal: AbortSignal;
  /** The descriptors that the old VMM has handed over, by their tokens. */
  readonly #handed = new Map<string, Descriptor>();
  #adopted: Adopted;
  #isClosed = false;

  constructor(context: RenewalContext, options: RenewOptions) {
    this.#context = context;
    this.#options = options;
    this.#adopted = options.adopted;
    this.#signal = AbortSignal.any([options.signal, this.#late.signal]);
  }

  get #marks() {
    const { mark } = this.#context.adoptions.stopped;
    return { ...this.#context, mark: mark.bind(this.#context.adoptions.stopped) };
  }

  async run(): Promise<Renewal> {
    const { limitUs } = this.#options;
    const ready = await makeReady(this.#context, this.#options, this.#signal);
    const { session, machine } = this.#options.adopted;
    // As it is noted by now.
    this.#adopted = { session, machine: { ...machine, before: ready.saver.before } };
    const words = (limit: string): string =>
      `it was not through after ${limit}, the longest that its guest may be stopped`;
    const clock = new StopClock(limitUs, (reason) => this.#late.abort(reason), words);
    try {
      const begun = await this.#begin(ready, clock);
      clock.stop();
      if (begun.is === 'running') return await this.#replaced(ready, begun);
      return begun.is === 'failed'
        ? await this.#runsOn(ready, begun.why)
        : await this.#left(ready, begun.why);
    } finally {
      clock.stop();
      this.#close(ready.saver);
    }
  }

  #close(saver: MachineSaver): void {
    if (!this.#isClosed) saver.close();
    this.#isClosed = true;
  }

  /** Stops the guest, and has its state loaded by the new VMM. Never throws. */
  async #begin({ facts, memory, saver, renewal }: Ready, clock: StopClock): Promise<Begun> {
    const { adoptions, sessions, paths } = this.#context;
    const { told } = this.#options;
    const adopted = this.#adopted;
    try {
      told('saving');
      const pieces = this.#keep(await saver.collect());
      // Its guest would be stopped without a mark if its session was closed.
      sessions.get(adopted.session);
      // From here on another agent finds what is to be undone.
      adoptions.stopped.mark(adopted.session, { suspended: true, before: saver.before, renewal });
      sessions.touched();
      clock.start();
      const { file: state, cprBytes, mainBytes, recordedAtUs } = await saver.save();
      setNamesAside(paths.proc, adopted, renewal);
      this.#signal.throwIfAborted();
      told('starting');
      const run = newRun(adopted);
      const parts = { adopted, run, saver, memory, facts, pieces };
      const saved = savedMachine(parts, { token: stateToken, cprBytes, mainBytes }, recordedAtUs);
      const signal = this.#signal;
      const file = (place: Place): Descriptor => this.#file(place);
      return await startNew(this.#marks, { adopted, renewal, saved, state, file, signal });
    } catch (error) {
      return { is: 'failed', why: saidBy(this.#signal.aborted ? this.#signal.reason : error) };
    }
  }

  /** Gives the descriptors that were handed over places. @throws Error if one cannot be opened by another process */
  #keep(pieces: readonly Piece[]): SavedMachine['pieces'] {
    return pieces.map(({ data, descriptors }) => ({
      bytes: data.length,
      files: descriptors.map((file) => {
        if (!fstatSync(file.fd).isFile())
          throw new Error('its VMM hands over something that is no file, which another process cannot open');
        needOpen(this.#context.native, file, 'memory that its VMM hands over');
        const token = `0x${(this.#handed.size + 1).toString(16)}`;
        this.#handed.set(token, file);
        return { session: handedSession, token };
      }),
    }));
  }

  #file({ session, token }: Place): Descriptor {
    const file =
      session === handedSession
        ? this.#handed.get(token)
        : this.#context.sessions.get(session).files.get(BigInt(token));
    if (file) return file;
    throw new Error(`descriptor ${token} of session ${session} is missing`);
  }

  /** The new VMM runs: the old one is ended. What fails of that is tried again by others. */
  async #replaced(ready: Ready, { pid, ranAtNs }: Begun & { is: 'running' }): Promise<Renewal> {
    const { adoptions, look, native, nowUs } = this.#context;
    const { told } = this.#options;
    const adopted = this.#adopted;
    const agoUs = ranAtNs === null ? 0 : (Number(native.kernel.clock('boottime')) - ranAtNs) / 1000;
    const ranAtUs = Math.round(nowUs() - Math.max(0, agoUs));
    const stoppedAtUs = ready.saver.suspendedAtUs ?? ranAtUs;
    told('ending');
    let problem: string | null = null;
    try {
      await adoptions.moved(adopted.session, pid);
      // Its connection to the old one's monitor would be its last.
      this.#close(ready.saver);
      await endReplaced(this.#marks, adopted, ready.renewal);
    } catch (error) {
      problem = `its old VMM is stopped and has not ended yet, which is tried again: ${saidBy(error)}`;
    }
    const newVersion = await look(pid).then(
      ({ version }) => version,
      () => null,
    );
    const stoppedUs = Math.max(0, ranAtUs - stoppedAtUs);
    return { ...this.#outcome('renewed', problem), newPid: pid, newVersion, stoppedUs };
  }

  /** The new VMM has not run, and has ended if there was one: the old one runs on. */
  async #runsOn(ready: Ready, why: string): Promise<Renewal> {
    const { adoptions, nowUs, paths } = this.#context;
    const { saver } = ready;
    const adopted = this.#adopted;
    const { machine } = adopted;
    const unnamed = this.#nameProblem(ready);
    const isThere = async (): Promise<boolean> =>
      (await identify(paths.proc, machine.pid))?.startTime === machine.startTime;
    const { mark } = this.#marks;
    let ranAtUs: number | null = null;
    const letRunOn = async (): Promise<string | null> => {
      const instead = await saver.letRunOn();
      ranAtUs = nowUs();
      return instead;
    };
    const saved = { ran: saver.ran, letRunOn, putBack: () => saver.putBack() };
    const problems = await runOn({ adopted }, saved, { mark, isThere }).then(
      (how) => how.problems,
      (error: unknown) => [`its guest could not be let run on, and is told again: ${saidBy(error)}`],
    );
    const { suspendedAtUs } = saver;
    const stoppedUs = suspendedAtUs === null || ranAtUs === null ? null : ranAtUs - suspendedAtUs;
    // Its monitor is free then.
    this.#close(saver);
    if (problems.length > 0) void adoptions.stopped.letRunOn();
    return { ...this.#outcome('runs_on', [why, ...unnamed, ...problems].join('; ')), stoppedUs };
  }

  /** Gives the old VMM its names back. That it runs does not wait for it. @returns what went wrong */
  #nameProblem({ renewal }: Ready): string[] {
    try {
      giveNamesBack(this.#marks, this.#adopted, renewal);
      return [];
    } catch (error) {
      return [`its sockets do not have their names yet, which is tried again: ${saidBy(error)}`];
    }
  }

  /** The new VMM has ended after it was told to run. */
  async #left({ renewal }: Ready, why: string): Promise<Renewal> {
    const adopted = this.#adopted;
    const leave = (): Promise<void> => leaveStopped(this.#marks, adopted, renewal);
    await untilDone(this.#context.log, adopted.session, leave);
    const left = `its new VMM ended after it was told to run (${why}). Its old one, process ${adopted.machine.pid}, is left stopped, because its memory may have changed since`;
    return this.#outcome('stopped', left);
  }

  #outcome(outcome: Renewal['outcome'], problem: string | null): Renewal {
    const { pid, version } = this.#options.machine;
    return { outcome, problem, pid, version, newPid: null, newVersion: null, stoppedUs: null };
  }
}
