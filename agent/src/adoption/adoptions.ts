// SPDX-License-Identifier: Apache-2.0
/**
 * Adopted machines, and the lifecycle of a machine in a live update.
 *
 *     found → adopted → protected → prepared → stopped → saved ──(kexec)──→ starting → loading → running
 *               ↑           │          │          │        │                    │         │
 *               │           └──────────┴──────────┴────────┴→ runs on           └─────────┴→ held, lost
 *               └ adopted again under its new process            or left behind
 *
 * - *found*: a VMM runs (`machines/`). *Adopted*: a separate session holds its memory, and the manifest says how to
 *   start it. The slow part is done here while nobody waits: memory is put
 *   into huge pages (`huge-pages.ts`) and preserved. `adopt` and `release` move it.
 * - *protected*: at the start of an update, memory that it got since is preserved. *Prepared*: its monitor is taken,
 *   sockets listen (`save.ts`). It runs.
 * - *stopped*, *saved*: its session is marked, then the guest stops and its state goes into the index session. All
 *   machines at once (`suspension.ts`, `stopped-machines.ts`).
 * - *starting*, *loading*, *running*: the next kernel (`update/program/restore-machine.ts`). Then `moved` adopts the
 *   new process.
 *
 * A process is known by pid, start time and boot. A pid that another process has by now belongs to no machine.
 *
 * The VMM ends
 * - while adopted, also during an update before the stop: its session is closed, and shared files are preserved for
 *   the others. An update that counted on it is aborted, or leaves it behind, as the policy says.
 * - while stopped: the session stays while the update is under way. Once it is saved its end does no harm: the next
 *   kernel starts another. If the update ends here, its session is closed like that of any other that has ended.
 * - while starting or loading: it is stopped and tried again, because the guest has not run and nothing is used up. What
 *   is missing so early in a boot may come, so there are seven attempts in 16 s. They are counted behind the state, over
 *   restarts of the agent. Then it is *held*.
 * - after it was told to run: never loaded again, for its memory has changed. It is *held*, and its VMM is left alone.
 *
 * Other ends: *left behind*: by choice or by policy; it runs until the kexec ends it, and the next kernel closes its
 * session. *Lost*: a part of it did not come; it is not started without, and the session keeps what came. *Held*: its
 * memory is in its session, and copies of its record and its state are preserved there too. If a copy fails, the index
 * stays, and no update can leave (`update/arrive/keep-held.ts`). `RetryMachine`
 * starts a held machine, and `AbandonMachine` gives it up (`held-machines.ts`). Another attempt may have other names for
 * what its command line names (`other-names.ts`).
 *
 * - The host has no memory to fill what a guest has not touched yet (`filling.ts`): adoption is refused. An update ends
 *   before it stops anything.
 * - Its memory would come back sealed against writing (`sealed-memory.ts`): it is saved whole where its VMM can do that,
 *   and adoption is refused otherwise. What is sealed later fails a preflight check, or ends the update before a stop.
 * - The record of the machines has no room in the index: found out before any of them is stopped.
 * - The kernel, a file system or the service manager does not come back: adoption is refused after a while, and undone once
 *   they do. No update begins before, and the machine is not adopted again (`unfinished.ts`).
 * - The monitor has another client: adoption is refused. In an update the machine cannot be prepared: see the policy.
 * - Memory in a named file: the kernel takes it only without a name. `adopt` removes the name if that is allowed, after
 *   noting it in the manifest. `release` puts a link to the VMM's descriptor there; it leads nowhere once that ends.
 * - The agent dies while guests are stopped: the next one finds the marks and says `cont` (`letRunOn`), again every
 *   2 s if a monitor refuses. It does not say it to a guest that did not run before, or that something else has stopped.
 *   Without a descriptor store the marks are gone, and the guests stay stopped.
 * - The agent dies while QEMU hands over its descriptors: QEMU stops its guest by itself then. The next agent asks each
 *   machine that an update had in hand, and lets such a guest run.
 * - Migration settings of a VMM: a save needs its own (`qemu/migration-settings.ts`). How they were is in the mark before
 *   they are changed. They are put back when the machine runs on, or by the next agent, which finds the mark. Where its
 *   monitor refuses that is tried again without end, and no update begins with the machine meanwhile.
 * - Somebody lets a guest run through another monitor after it was saved: QEMU tells, and the machine is left behind, or
 *   the update ends. Right before the kexec each VMM is asked once more (`last-question.ts`). One that is not as it was
 *   saved, or does not answer, ends the update.
 * - Its VMM is replaced in this kernel (`renewal/renew-machine.ts`), and the agent dies meanwhile: the next one finds that
 *   mark, too, and waits for the carrier. Either the new VMM runs and the old one is ended, or the old one is let run once
 *   the new one has ended (`replaced-vmm.ts`).
 * - The agent dies in the next kernel: a mark behind the state says how far it was (`restart-mark.ts`). With the mark
 *   *starting* the VMM is stopped and started again, if attempts are left. With *running* it may have run, so
 *   nothing is loaded. Its monitor is asked, and it is told to run if it is still paused.
 *   Once the update is settled the mark says *settled*: no agent acts on a state in the index any more.
 * - The agent dies while it tries a held machine again: the carrier goes on. The next agent waits for it, and enters the
 *   machine as adopted if it may have run and its VMM is found.
 *
 * Tests:
 *     agent/src/adoption/adoptions.test.ts
 *       whose preserving fails is not adopted, and its memory can be preserved afterwards
 *       is not said to be adopted while a failed adoption is being undone
 *       is not said to be adopted while its adoption is under way, or once it could not be undone
 *       whose memory would come back sealed is not adopted, and nothing of it is preserved
 *       whose further memory would come back sealed is not protected: the update ends before a stop
 *       has no session any more once its VMM has ended
 *       that an update had stopped has no session any more once its VMM has ended and the update is over
 *       is told by its start time from another process of its number
 *       is let run on by the agent that finds its mark
 *       is tried $how if its monitor refuses
 *       whose settings cannot be put back is tried again without end, with growing pauses: its monitor is its owner’s
 *       and whose VMM has ended has no session any more once the next agent watches its machines
 *       loses it only if that was allowed, and has a link in its place when it is released
 *     agent/test/unended.test.ts
 *       is refused where the kernel does not come back from %s, and undone once it does
 *     agent/src/adoption/huge-pages.test.ts
 *       is in huge pages before it is preserved, as the journal says
 *       is preserved in small pages if the host has no huge page left
 *       is not preserved where the host has no memory to fill it, and nothing is left behind
 *       is not collapsed further once somebody else has preserved it, and is preserved once
 *       is preserved again at once when the machine that shared it has ended
 *     agent/test/start.test.ts
 *       lets a machine run on that a dead agent has stopped, while somebody else has the device open
 *     agent/test/machine-update.test.ts
 *       is carried over: %s
 *       whose VMM ends after it is saved is started again in the next kernel all the same
 *       whose VMM ends before it is stopped is dealt with by the policy: $ifMachineFails
 *       that starts at a later attempt runs
 *       of which every attempt ends the agent is held after as many as one agent makes, and is tried again then
 *       that does not start is held: its memory and a copy of its state are in its session
 *       that is held keeps the index, and no update leaves, if its state cannot be copied: the next agent %s
 *       whose record does not fit is held, and costs three others nothing
 *       that was left behind by %s has no session in the next kernel any more
 *       is $stage with $what, and the record says so
 *       whose VMM ends just while it is entered again has no session any more, and holds nothing up
 *       are let run on by the next agent if this one dies before the kexec
 *     agent/test/held-machines.test.ts
 *       goes on when it is tried again: %s
 *       lives through a restart of the agent and a further update, and goes on then
 *       is kept anew, and nothing of before is used, if a later update cannot start it
 *       that runs again is left alone by later starts, though the index is kept for another: %s
 *       is not tried again while an update is under way, and none begins meanwhile
 *       whose guest may have run is never loaded again
 *       goes on with another path for a disk that has moved, and has it from then on
 *       whose agent dies %s is found running in its unit, and adopted
 *       is not started from %s beside that
 *       is given up with its session, which the journal says
 *     agent/src/adoption/other-names.test.ts
 *       stand on the command line, and nothing else of the machine changes
 *       of %s that cannot be used are refused: %s
 *       follows a path and an interface
 *     agent/test/abort.test.ts
 *       ends before the machines are stopped, %s
 *     agent/src/adoption/suspension.test.ts
 *       is marked, stopped and saved, and runs on when the kexec does not happen: %s
 *       whose monitor has another client cannot be made ready
 *       whose VMM does not let it run on is held, and its mark stays
 *       ends the update under the policy stop, and all of them run on
 *       is left behind under the policy leave, and runs until the kexec
 *     agent/src/adoption/state-before.test.ts
 *       are as before once an update is aborted in its grace: %s
 *       that others have made and that would change the save are switched off for it, and put back
 *       because it is %s is saved as it is, and never told to run
 *       in the grace: one that is paused is carried over so: %s
 *       ends the update if a VMM does not answer
 *     agent/test/state-before.test.ts
 *       are as before once the next agent is there, if this one dies in the grace
 *       that cannot be put back keep the next update from beginning, which people are told, until they are
 *       are put back in the next kernel by $by
 *       is not let run by the next agent, if this one dies after it was saved
 *       ends the update in its last moment, and all run on: policy %s
 *     agent/test/renewals.test.ts
 *       an agent that dies leaves it to the next one, which ends the old VMM
 *       an agent that dies before the new VMM fails leaves the old one to be let run
 *     agent/test/carrier/restore-machine.test.ts
 *       goes on, %s
 *       that does not say whether it runs is not stopped: the guest may have run
 *       that may have run is not started at all
 *     agent/src/adoption/restore.test.ts
 *       is told once more if QEMU says that it is paused after all
 *     agent/src/update/arrive/resume-machines.test.ts
 *       is not started if its memory did not come through, and the descriptor is named
 *       whose VMM ends is tried again after each pause, then held with its state
 *       that an agent had begun to start is stopped first
 *       that agents have tried %i times before is not tried without end
 *       that may have run is never loaded again
 */
import { identify, type ProcessIdentity } from '../host/process-files.ts';
import { ProcessWatch } from '../host/process-watch.ts';
import { Refusal } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import type { Machine } from '../interface/agent.generated.ts';
import type { Collapsed } from '../liveupdate/collapse.ts';
import type { HeldSession } from '../liveupdate/held-session.ts';
import { type Actor, agentItself } from '../liveupdate/live-update-context.ts';
import type { MachineHead } from '../liveupdate/machine-head.ts';
import { type Adopted, type AdoptionContext, adoptedIn } from './adoption-context.ts';
import { checkRoom } from './filling.ts';
import type { Following } from './huge-pages.ts';
import { movedHead } from './moved-head.ts';
import { dropLink, putNamesBack, takeNames } from './names.ts';
import { type AdoptOptions, newAdoption } from './new-adoption.ts';
import { protectMachine } from './protect.ts';
import { checkSeals } from './sealed-memory.ts';
import { StoppedMachines } from './stopped-machines.ts';
import { Unfinished } from './unfinished.ts';

/** How long what is looked at for an adoption, and its undoing, are waited for, in ms. */
const adoptingMs = 10_000;

export class Adoptions {
  readonly #context: AdoptionContext;
  readonly #watch: ProcessWatch;
  readonly #unfinished: Unfinished;

  /** Machines that an update has stopped. */
  readonly stopped: StoppedMachines;

  constructor(context: AdoptionContext) {
    this.#context = context;
    this.stopped = new StoppedMachines({ ...context, moved: this.moved.bind(this) });
    this.#watch = new ProcessWatch(context.native);
    this.#unfinished = new Unfinished(context.sessions);
  }

  /** All adopted machines of this boot, by session. */
  list(): Adopted[] {
    return adoptedIn(this.#context);
  }

  /** What is kept of an adopted machine, by the process of its VMM; null of another process. */
  of({ pid, startTime }: ProcessIdentity): Pick<Machine, 'session' | 'definition' | 'priority'> | null {
    const found = this.list().find(({ machine }) => machine.pid === pid && machine.startTime === startTime);
    if (!found) return null;
    const { definition, priority } = found.machine;
    return { session: found.session, definition, priority };
  }

  /**
   * Adopts a running machine. Of one that is adopted already only the priority is changed, if one is given.
   *
   * @param following of what is put into huge pages
   * @throws Refusal NoSuchProcess, NotAMachine, MachineUnusable, DependencyCycle, and what preserving refuses with;
   *   nothing is left behind then. MachineUnusable also while its adoption is under way or being undone. NotEnded if the kernel or a file system does not come back: it is undone once it has.
   */
  async adopt(
    pid: number,
    options: AdoptOptions,
    actor: Actor,
    following: Pick<Following, 'onProgress'> = {},
  ): Promise<void> {
    const { availableMemory, journal, log, look, sessions, unended } = this.#context;
    const machine = await look(pid);
    if (machine.session !== null) {
      this.#unfinished.check(machine.session, machine);
      return this.#prioritize(machine.session, options.priority, actor);
    }
    const deciding = newAdoption(machine, options, this.#context);
    const looking = `looking at the definition of ${machine.name}`;
    const { session, head } = await unended.waitFor(looking, deciding, { limitMs: adoptingMs });
    // Before a name is taken away.
    checkSeals(this.#context, machine);
    checkRoom(this.#context, machine, await availableMemory());
    const { name, definition, priority } = head;
    const parameters = { pid, name, way: machine.way, definition, priority };
    const adopting = async (): Promise<Collapsed> => {
      await sessions.create(session, actor, head);
      try {
        await takeNames(this.#context, session, machine);
        // A name that was taken away changes what the kernel takes.
        const now = machine.unlinks.length === 0 ? machine : await look(pid);
        return await protectMachine(this.#context, session, now, actor, following);
      } catch (error) {
        const giveUp = this.#unfinished.undo(session, error, async () => {
          const taken = sessions.get(session).machine?.unlinked ?? [];
          await sessions.close(session, actor);
          putNamesBack(this.#context.paths.proc, pid, taken);
        });
        // The kernel may still preserve what is in the session. Then it is closed once that has ended.
        const undoing = `undoing the adoption of ${name}`;
        await unended.waitFor(undoing, giveUp, { limitMs: adoptingMs }).catch((problem: unknown) => {
          log('warning', 'an adoption that failed is not undone yet', { session, problem: saidBy(problem) });
        });
        throw error;
      }
    };
    await this.#unfinished.during(session, () =>
      journal.act(
        'machine.adopt',
        { session, peer: actor.peer, parameters },
        adopting,
        // Small files are not put into huge pages.
        (hugePages) => ({ parameters: hugePages.bytes === 0 ? parameters : { ...parameters, hugePages } }),
      ),
    );
    this.#watchOne(session, head);
  }

  /** Gives an adopted machine another priority. @param priority null for the one that it has */
  async #prioritize(session: string, priority: number | null, actor: Actor): Promise<void> {
    const { journal, sessions } = this.#context;
    const held = sessions.get(session);
    if (priority === null || held.machine === null || held.machine.priority === priority) return;
    const { pid, name } = held.machine;
    const fields = { session, peer: actor.peer, parameters: { pid, name, priority } };
    await journal.act('machine.priority', fields, () => held.updateMachine({ priority }));
    sessions.touched();
  }

  /**
   * Preserves what an adopted machine has come to have since, in huge pages if possible.
   *
   * @param following of what is put into huge pages
   * @throws Refusal; the signal's reason
   */
  async protect(session: string, actor: Actor, following: Following): Promise<void> {
    const { machine } = this.#context.sessions.get(session);
    if (machine === null) return;
    const { look, unended } = this.#context;
    const { signal } = following;
    const now = await unended.waitFor(`looking at ${machine.name}`, look(machine.pid), { signal });
    await protectMachine(this.#context, session, now, actor, following);
  }

  /**
   * Lets go of a machine, which runs on.
   *
   * @throws Refusal MachineUnusable if it is not adopted
   */
  async release(pid: number, actor: Actor): Promise<void> {
    const adopted = this.list().find(({ machine }) => machine.pid === pid);
    if (!adopted) throw new Refusal('MachineUnusable', { pid, name: '', reason: 'it is not adopted' });
    const { journal, renewals, sessions } = this.#context;
    const { session, machine } = adopted;
    // From before it is noted: its marks would go with its session.
    if (machine.renewal || renewals.isUnder(session))
      throw new Refusal('MachineUnusable', { pid, name: machine.name, reason: 'its VMM is being replaced' });
    const fields = { session, peer: actor.peer, parameters: { pid, name: machine.name } };
    await journal.giveBack('machine.release', fields, async () => {
      this.#watch.forget(session);
      await sessions.close(session, actor);
      putNamesBack(this.#context.paths.proc, pid, machine.unlinked);
    });
    await this.#protectOthers();
  }

  /**
   * Watches the machines there are: for an agent that has just started, or after an update that ended here. Those that have
   * ended are let go of, also where they were stopped: nobody has a use for their state any more.
   */
  async takeOver(): Promise<void> {
    for (const { session, machine } of this.list()) {
      const now = await identify(this.#context.paths.proc, machine.pid);
      if (now?.startTime === machine.startTime) this.#watchOne(session, machine);
      else await this.#ended(session, machine, true);
    }
  }

  /**
   * Writes down that a machine's VMM is another process now: it was started again after a live update, or renewed. One
   * that has ended already is written down too, for `takeOver` to let go of.
   */
  async moved(session: string, pid: number): Promise<void> {
    const { paths, sessions, bootId } = this.#context;
    const held = sessions.get(session);
    const { change, identity } = await movedHead(paths.proc, held.machine, pid, bootId);
    held.updateMachine(change);
    if (identity !== null && held.machine) this.#watchOne(session, held.machine);
    sessions.touched();
  }

  /** What others shared with a machine that is gone is theirs to preserve now. */
  async #protectOthers(): Promise<void> {
    const { look } = this.#context;
    for (const { session, machine } of this.list()) {
      const again = async (): Promise<void> => {
        // At once: no session has it until then.
        await protectMachine(this.#context, session, await look(machine.pid), agentItself, null);
      };
      await again().catch((error: unknown) => {
        this.#context.log('warning', 'a machine is not whole in its session', {
          session,
          problem: String(error),
        });
      });
    }
  }

  #watchOne(session: string, machine: MachineHead): void {
    this.#watch.on(session, machine.pid, () => {
      void this.#ended(session, machine, this.#context.mayLetRunOn());
    });
  }

  /**
   * A machine's VMM has ended: what is preserved of it would be kept for nobody.
   *
   * @param noUpdate whether none is under way that may have stopped the machine
   */
  async #ended(session: string, machine: MachineHead, noUpdate: boolean): Promise<void> {
    const { sessions, log } = this.#context;
    const held: HeldSession | null = sessions.has(session) ? sessions.get(session) : null;
    if (held?.machine?.pid !== machine.pid || held.direction === 'incoming') return;
    // While an update has it stopped, its end is for the update to deal with. The same goes for one that is replaced.
    if ((held.machine.suspended && !noUpdate) || held.machine.renewal) return;
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
