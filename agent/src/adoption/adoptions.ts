// SPDX-License-Identifier: Apache-2.0
/**
 * Machines that live updates bring along. Each has a session of its own, with its memory in it and, in the
 * manifest, how to start it again. The session is there from the adoption on, so that the long part, preserving
 * memory, is done while nobody waits for it, and goes when the machine is released or ends.
 *
 * A file that two machines share is preserved once, in the session of whoever came first. If that one goes, the
 * file is preserved again for the other.
 */
import type { Descriptor, Native } from '@luo-console/native';
import type { HostPaths } from '../host/paths.ts';
import { identify, type ProcessIdentity } from '../host/process-files.ts';
import { ProcessWatch } from '../host/process-watch.ts';
import { Refusal } from '../host/refusal.ts';
import type { Machine } from '../interface/agent.generated.ts';
import type { Journal } from '../journal/index.ts';
import type { HeldSession } from '../liveupdate/held-session.ts';
import { type Actor, agentItself } from '../liveupdate/live-update-context.ts';
import type { MachineHead } from '../liveupdate/machine-head.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';
import { reachOf } from '../machines/monitor.ts';
import { orderDescriptors } from '../machines/order.ts';
import { VmmMonitor } from '../qemu/migration-monitor.ts';
import { dropLink, putNameBack, takeName } from './names.ts';
import { type AdoptOptions, freeSessionName, headOf } from './new-adoption.ts';
import { commandOfVmm } from './running-vmm.ts';

export interface AdoptionContext {
  readonly native: Native;
  readonly paths: HostPaths;
  readonly sessions: SessionStore;
  readonly journal: Journal;
  readonly bootId: string;
  /** A machine as it is now. @throws Refusal NoSuchProcess, NotAMachine */
  look(pid: number): Promise<Machine>;
  /** A copy of a process's descriptor. @throws Refusal */
  take(pid: number, fd: number): Descriptor;
  /** Whether machines that stand still should not: no live update is under way. */
  mayLetRunOn(): boolean;
  log(level: 'info' | 'warning' | 'error', message: string, fields?: Record<string, unknown>): void;
}

/** An adopted machine. */
export interface Adopted {
  readonly session: string;
  readonly machine: MachineHead;
}

/** How long to wait before a machine that stands still is tried again, in ms: its monitor says nothing of itself. */
const againMs = 2000;

export class Adoptions {
  readonly #context: AdoptionContext;
  readonly #watch: ProcessWatch;

  constructor(context: AdoptionContext) {
    this.#context = context;
    this.#watch = new ProcessWatch(context.native);
  }

  /** All adopted machines of this boot, by session. */
  list(): Adopted[] {
    const { sessions, bootId } = this.#context;
    return sessions.list().flatMap(({ name, machine }) => {
      return machine !== null && machine.bootId === bootId ? [{ session: name, machine }] : [];
    });
  }

  /** The session of a process that is an adopted machine's VMM, and its definition; null of another. */
  of({ pid, startTime }: ProcessIdentity): { session: string; definition: string | null } | null {
    const found = this.list().find(({ machine }) => machine.pid === pid && machine.startTime === startTime);
    return found ? { session: found.session, definition: found.machine.definition } : null;
  }

  /**
   * Adopts a running machine. One that is adopted already is left as it is.
   *
   * @throws Refusal NoSuchProcess, NotAMachine, MachineUnusable, DependencyCycle, and what preserving refuses with;
   *   nothing is left behind then
   */
  async adopt(pid: number, options: AdoptOptions, actor: Actor): Promise<void> {
    const { journal, look, sessions } = this.#context;
    const machine = await look(pid);
    if (machine.session !== null) return;
    const head = await headOf(machine, options, this.#context);
    const session = freeSessionName(machine, (name) => sessions.has(name));
    const parameters = { pid, name: machine.name, way: machine.way, definition: head.definition };
    await journal.act('machine.adopt', { session, peer: actor.peer, parameters }, async () => {
      await sessions.create(session, actor, head);
      try {
        await this.#takeNames(session, machine);
        // A name that was taken away changes what the kernel takes.
        await this.#protect(session, machine.unlinks.length === 0 ? machine : await look(pid), actor);
      } catch (error) {
        const taken = sessions.get(session).machine?.unlinked ?? [];
        await sessions.close(session, actor);
        this.#putNamesBack(pid, taken);
        throw error;
      }
    });
    this.#watchOne(session, head);
  }

  /** Preserves what an adopted machine has come to have since. @throws Refusal */
  async protect(session: string, actor: Actor): Promise<void> {
    const { machine } = this.#context.sessions.get(session);
    if (machine !== null) await this.#protect(session, await this.#context.look(machine.pid), actor);
  }

  /**
   * Lets go of a machine, which runs on.
   *
   * @throws Refusal MachineUnusable if it is not adopted
   */
  async release(pid: number, actor: Actor): Promise<void> {
    const adopted = this.list().find(({ machine }) => machine.pid === pid);
    if (!adopted) throw new Refusal('MachineUnusable', { pid, name: '', reason: 'it is not adopted' });
    const { journal, sessions } = this.#context;
    const { session, machine } = adopted;
    const fields = { session, peer: actor.peer, parameters: { pid, name: machine.name } };
    await journal.act('machine.release', fields, async () => {
      this.#watch.forget(session);
      await sessions.close(session, actor);
      this.#putNamesBack(pid, machine.unlinked);
    });
    await this.#protectOthers();
  }

  /** Watches the machines there are: for an agent that has just started. Those that have ended are let go of. */
  async takeOver(): Promise<void> {
    for (const { session, machine } of this.list()) {
      const now = await identify(this.#context.paths.proc, machine.pid);
      if (now?.startTime === machine.startTime) this.#watchOne(session, machine);
      else await this.#ended(session, machine);
    }
  }

  /** Writes down that a machine's VMM is another process now: it was started again after a live update. */
  async moved(session: string, pid: number): Promise<void> {
    const { paths, sessions, bootId } = this.#context;
    const identity = await identify(paths.proc, pid);
    if (identity === null) return;
    const held = sessions.get(session);
    const command = await commandOfVmm(paths.proc, pid);
    const { startTime } = identity;
    held.updateMachine({ pid, startTime, bootId, command, unlinked: [], suspended: false });
    if (held.machine) this.#watchOne(session, held.machine);
    sessions.touched();
  }

  /**
   * Lets machines run on that stand still although no live update is under way: an agent stopped them and died, or
   * their monitors did not answer when they were to go on. Those that cannot be let go on now are tried again until
   * they can, or have ended.
   */
  async letRunOn(): Promise<void> {
    const stopped = this.list().filter(({ machine }) => machine.suspended);
    const done = await Promise.all(stopped.map((each) => this.#letOneRunOn(each)));
    if (done.every(Boolean)) return;
    setTimeout(() => {
      if (this.#context.mayLetRunOn()) void this.letRunOn();
    }, againMs).unref();
  }

  async #letOneRunOn({ session, machine }: Adopted): Promise<boolean> {
    const { paths, log } = this.#context;
    const now = await identify(paths.proc, machine.pid);
    if (now?.startTime !== machine.startTime) return true;
    try {
      using monitor = await VmmMonitor.open(reachOf(paths.proc, machine.pid, machine.monitor));
      if (!(await monitor.isRunning())) await monitor.tell('cont');
      this.markSuspended(session, false);
      log('warning', 'let a stopped machine run on', { session });
      return true;
    } catch (error) {
      log('error', 'a machine is still stopped', { session, problem: String(error) });
      return false;
    }
  }

  /** Marks machines as standing still, or as running again. */
  markSuspended(session: string, suspended: boolean): void {
    const { sessions } = this.#context;
    if (sessions.has(session)) sessions.get(session).updateMachine({ suspended });
  }

  async #takeNames(session: string, { pid, descriptors, unlinks }: Machine): Promise<void> {
    const { paths, sessions, journal } = this.#context;
    for (const path of unlinks) {
      const fd = descriptors.find(({ name }) => name === path)?.fd ?? null;
      if (fd === null) throw new Refusal('MachineUnusable', { pid, name: path, reason: 'it is mapped only' });
      await journal.act('machine.unlink', { session, parameters: { pid, path } }, () => {
        const held = sessions.get(session);
        held.updateMachine({ unlinked: [...(held.machine?.unlinked ?? []), { path, fd }] });
        takeName(paths.proc, pid, { path, fd });
      });
    }
  }

  #putNamesBack(pid: number, names: MachineHead['unlinked']): void {
    for (const name of names) putNameBack(this.#context.paths.proc, pid, name);
  }

  /** Preserves every file of a machine that the kernel takes and that is not preserved yet, in the right order. */
  async #protect(session: string, machine: Machine, actor: Actor): Promise<void> {
    const { take, sessions, native } = this.#context;
    const { pid } = machine;
    const mapped = machine.descriptors.find(({ fd, guestMemory, fate }) => {
      return fd === null && guestMemory && fate === 'preservable';
    });
    if (mapped) {
      const reason = `its VMM has no descriptor of ${mapped.name} any more`;
      throw new Refusal('MachineUnusable', { pid, name: machine.name, reason });
    }
    for (const fd of orderDescriptors(machine)) {
      using file = take(pid, fd);
      if (sessions.whereIs(native.memory.fileFacts(file)) !== null) continue;
      const described = machine.descriptors.find((each) => each.fd === fd);
      const label = `${described?.guestMemory ? 'memory of ' : ''}${machine.name}: ${described?.name ?? fd}`;
      const source = `descriptor ${fd} of ${machine.command} (pid ${pid})`;
      await sessions.preserve(session, file, { token: null, label: label.slice(0, 128), source }, actor);
    }
  }

  /** What others shared with a machine that is gone is theirs to preserve now. */
  async #protectOthers(): Promise<void> {
    for (const { session } of this.list()) {
      await this.protect(session, agentItself).catch((error: unknown) => {
        this.#context.log('warning', 'a machine is not whole in its session', {
          session,
          problem: String(error),
        });
      });
    }
  }

  #watchOne(session: string, machine: MachineHead): void {
    this.#watch.on(session, machine.pid, () => void this.#ended(session, machine));
  }

  /** A machine's VMM has ended: what is preserved of it would be kept for nobody. */
  async #ended(session: string, machine: MachineHead): Promise<void> {
    const { sessions, log } = this.#context;
    const held: HeldSession | null = sessions.has(session) ? sessions.get(session) : null;
    // During a live update the end of a VMM is for the update to deal with.
    if (held?.machine?.pid !== machine.pid || held.machine.suspended || held.direction === 'incoming') return;
    log('info', 'a machine has ended', { session, pid: machine.pid });
    for (const name of machine.unlinked) dropLink(machine.pid, name);
    await sessions.close(session, agentItself).catch((error: unknown) => {
      log('warning', 'could not close the session of a machine that has ended', {
        session,
        problem: String(error),
      });
    });
    await this.#protectOthers();
  }
}
