// SPDX-License-Identifier: Apache-2.0
/**
 * The phases of a live update, and its lifecycle in both kernels. The table below says which phase may follow which;
 * `enter` is the only place where a phase changes. The steps of each phase are in `steps.ts`.
 *
 *     normal → preserving → prepared → suspending → kexec ╌╌(next kernel)╌╌ booting → retrieving → resuming
 *        ↑         │           │            │         │                       │          │           │
 *        ├─────────┴───────────┴────────────┴─────────┴── aborted, returned   ├──────────┤           ↓
 *        └────────────────────────────────────────────────────────────────────┴──────────┴─────── finishing
 *
 * - *preserving*: the next kernel is loaded; memory that machines got since their adoption is preserved.
 * - *prepared*: the index session is created, digests are taken, monitors are taken. Then the kexec is announced in
 *   the journal, on disk, and the grace runs.
 * - *suspending*: machines stop, and their states go into the index session. *kexec*: the reboot call.
 * - *booting*, *retrieving*: the next agent starts in `normal` and enters both if it finds an update that is not
 *   settled. Machines are being brought back meanwhile (`arrive/first-things.ts`). *resuming*: each is adopted as soon as
 *   it runs, and those that do not yet are waited for.
 * - *finishing*: digests are compared, sessions finished and built again, the outcome is written, the index finished.
 *
 * An abort works until the reboot call; in *kexec* it is refused with `WrongPhase`, in the next kernel with
 * `NothingToAbort`. It takes effect at once, whatever is waited for, and is answered within 2 s. What the kernel, a file
 * system or a VMM has not ended by then is left behind, and known until it ends (`host/unended.ts`). What comes of it is
 * given back: a kernel that is loaded late is dropped, an index that is created late is closed. No plan is runnable before.
 * Machines run on first, then the other steps are undone in reverse, and sessions stay. A VMM that does not answer is told
 * to run until it does. A step that could not be undone is tried again, and no update begins before it is
 * (`depart/leftovers.ts`). A kernel that does not close the index session keeps no machine stopped, and the update is
 * settled. An update that is about to begin does not begin after an abort.
 *
 * What is looked at before an update begins has limits, and a file system that does not answer is named. It is not asked
 * again before it has answered: each look takes one of libuv's threads (`plan/silent-places.ts`).
 *
 * With a full disk no update begins, and one that has begun ends before machines are stopped. Aborting, undoing and
 * settling do not wait for the journal (`journal/journal.ts`): they are written once there is room. If the agent dies
 * before, the next one settles the update as *aborted*.
 *
 * SIGTERM aborts an update first, and the agent ends once its machines run, however long that takes. In *kexec* it waits
 * for the reboot call. A start is not ended before stopped machines run either (`ending.ts`). The
 * package does not restart an agent in an update: the agent does, once that is over. From *prepared* on the host
 * cannot be shut down (`hold-shutdown.ts`).
 *
 * Before and after the stop, what machines write to is synced, with a limit. A disk that does not answer is dealt with by
 * the policy, as a machine that cannot be saved is (`depart/writing-out.ts`). Preserving has a limit too. A kernel that does
 * not come back from it ends the update under either policy.
 *
 * How it ends otherwise:
 * - A step fails: undone like an abort, outcome *aborted*. The kernel refuses to freeze: the call returns, undone in the
 *   same way, outcome *returned* with the errno and, if the log tells, the descriptor.
 * - The agent dies before the kexec: the kernel drops the index, which no store has. The next agent lets guests run on,
 *   unloads the kernel and settles the update as *aborted*.
 * - The agent dies in the next kernel: the store has the index. The next agent begins again; it settles only once.
 * - The power fails: memory and sessions are gone in every phase. The outcome is *cold boot*, the reason says whether
 *   the kexec was announced, and every descriptor is named. Where an agent had
 *   found the update in the next kernel and had not settled it, the outcome is *unknown*.
 * - Another kernel boots: *updated*, with a remark. One that cannot read the handover: *unknown*, with its log line. One
 *   that panics over it is seen as a cold boot by whatever boots next.
 * - A kernel without the device: nothing can be retrieved. The outcome is *cold boot* if its log shows no handover,
 *   else *unknown*. The memory stays taken until the next reset.
 * - An index and no journal: the index has the record, and the update is entered afterwards. A journal and no index: the
 *   journal names the sessions; *unknown*, never *updated*. An unreadable index: *unknown*; it is kept if the update
 *   had machines. A session of people that has the index's name is told by what is in it (`incoming-index.ts`).
 * - Settled, but the index is not finished: the next agent gets it from the store. It keeps what is held of machines in
 *   their sessions, and finishes the index if that works.
 * - A VMM ends just while *resuming* enters it: its session is closed when the update is settled.
 *
 * Tests:
 *     agent/src/update/arrive/outcome.test.ts
 *       follow each other as named, and the kexec is followed by another agent
 *       cannot be skipped
 *       says whether the kexec had been announced
 *     agent/test/live-update.test.ts
 *       carries sessions into the next kernel and proves it
 *       needs nothing from disk: an empty journal learns of the update from the index
 *       reports a handover the next kernel refused as unknown
 *       says returned with the errno when the kernel refuses, and leaves everything as it was
 *       leaves no index, no kernel and the memory untouched; it closes sessions only if asked
 *       tells its followers that the kexec begins, and takes no abort once the reboot call is made
 *     agent/test/abort.test.ts
 *       in phase preserving takes effect at once, and a kernel that is loaded late is dropped
 *       in phase prepared takes effect at once, and an index that is created late is closed
 *       in phase suspending lets machines run on that are stopped and saved
 *       ends the wait for a file system that does not answer, before any machine is stopped
 *       in the next kernel is refused: there is nothing to abort any more
 *       lets the machines run on, and says which file system it was
 *       is done while the disk is full, which is said, and is written once there is room
 *       lets machines run on though the kernel does not close the index, and does not wait for that without end
 *       does not wait without end for the session of a machine that has ended meanwhile
 *       tries again what could not be undone, and says if it still cannot be
 *       in the grace aborts the update first
 *       with machines stopped lets them run on first, and asks the service manager for the time
 *       does not end before a machine whose VMM does not let it run on %s
 *       while the reboot call is made waits for it, and lets machines run on if it comes back
 *       because a new version was installed is told so once the update is over
 *       gives the host back to whoever wants to shut it down, which was not possible since *prepared*
 *       before it begins is not begun
 *       after its announcement ends before the machines are stopped
 *       lets the machines run on, and is written once there is room
 *       and the agent dies before there is room is settled by the next agent
 *       and whose agent has died is undone and settled by the next one, which writes that once there is room
 *       in the next kernel still brings everything back, and is settled once there is room
 *     agent/test/unended.test.ts
 *       in %s
 *       keeps no plan waiting, is named, and is not asked again before it has answered
 *       keeps no update from being aborted before it begins
 *     agent/test/unsynced-disks.test.ts
 *       ends the update under the policy *stop*, and both machines run on
 *       costs its machine under *leave*, which runs on here until the kexec and is not brought back
 *     agent/test/index-session.test.ts
 *       leaves the outcome unknown, brings the sessions back, and is finished
 *       is not taken for the index by the second look, which the agent makes with its journal open
 *     agent/src/update/depart/step-list.test.ts
 *       are undone in reverse order, the one that failed first
 *       are undone where the undo of another fails, which is named
 *       are written as not done where the update ended before them
 *       is kept, and tried again until it is
 *     agent/test/arriving-steps.test.ts
 *       shows what it does by the steps of the plan, in the phases the plan says
 *       has one entry and one result of each step of the plan, in its order
 *     agent/test/crash.test.ts
 *       before the kexec settles the update as aborted and keeps the sessions
 *       in the next kernel gets everything back at the next start
 *     agent/test/power-loss.test.ts
 *       a power cut in phase $phase is a cold boot
 *       a power cut in the next kernel, in phase $phase, is told as $outcome
 *     agent/test/unplanned.test.ts
 *       is said: another kernel than the planned one
 *       is never an update: a session that is gone, though nothing was in it
 *     agent/test/start.test.ts
 *       finds no device: everything is named as lost, and the outcome is unknown
 *       finds the sessions by the journal where the index did not come, and calls the outcome unknown
 *       that died before it had finished the index of a settled update finishes it, and nothing else
 */
import { EventEmitter } from 'node:events';
import type { Phase, PhaseTiming } from '../../interface/agent.generated.ts';
import { stepKinds } from './steps.ts';

const followers: Readonly<Record<Phase, readonly Phase[]>> = {
  normal: ['preserving', 'booting'],
  preserving: ['prepared', 'normal'],
  prepared: ['suspending', 'normal'],
  suspending: ['kexec', 'normal'],
  kexec: ['normal'],
  booting: ['retrieving', 'normal'],
  retrieving: ['resuming', 'normal'],
  resuming: ['finishing'],
  finishing: ['normal'],
};

/** Whether one phase may follow another. */
export function mayFollow(from: Phase, to: Phase): boolean {
  return followers[from].includes(to);
}

/**
 * The phases to enter, one after the other, to come from one to another: forward only.
 *
 * @returns the last is `to`; empty if that is where the host is; null if no way leads there
 */
export function wayTo(from: Phase, to: Phase): Phase[] | null {
  const way: Phase[] = [];
  for (let at = from; at !== to; ) {
    // The kexec leads into the next kernel; elsewhere the first follower is the one that goes on.
    const next = at === 'kexec' ? 'booting' : followers[at][0];
    if (next === undefined || next === 'normal') return null;
    way.push(next);
    at = next;
  }
  return way;
}

/**
 * Checks that steps in this order only go forward. Done with the table itself when the agent starts.
 *
 * @throws Error that names the two steps that do not fit
 */
export function checkForward(kinds: readonly (readonly [string, { readonly phase: Phase }])[]): void {
  for (const [index, [id, { phase }]] of kinds.entries()) {
    const [before, { phase: from }] = kinds[index - 1] ?? ['the start', { phase: 'normal' }];
    if (wayTo(from, phase) === null)
      throw new Error(`step ${id} in phase ${phase} cannot follow ${before} in phase ${from}`);
  }
}
checkForward(stepKinds);

export class Phases {
  /** Emits `changed`. */
  readonly events = new EventEmitter().setMaxListeners(0);
  readonly #nowUs: () => number;
  #phase: Phase = 'normal';
  #startedAtUs: number;

  constructor(nowUs: () => number) {
    this.#nowUs = nowUs;
    this.#startedAtUs = nowUs();
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** When the phase was entered, µs since the epoch. */
  get startedAtUs(): number {
    return this.#startedAtUs;
  }

  /**
   * Moves to the next phase.
   *
   * @param atUs when it began, if that is not now.
   * @throws Error if the table does not allow it: a fault of the agent, not of its caller.
   */
  enter(next: Phase, atUs = this.#nowUs()): void {
    if (!mayFollow(this.#phase, next)) throw new Error(`phase ${next} cannot follow ${this.#phase}`);
    this.#phase = next;
    this.#startedAtUs = atUs;
    this.events.emit('changed');
  }
}

/** The timings with one more phase begun: the one before ends where it begins. `normal` ends the list. */
export function withPhase(timings: readonly PhaseTiming[], phase: Phase, startedAtUs: number): PhaseTiming[] {
  const ended = timings.map((timing) =>
    timing.durationUs === null
      ? { ...timing, durationUs: Math.max(0, startedAtUs - timing.startedAtUs) }
      : timing,
  );
  return phase === 'normal' ? ended : [...ended, { phase, startedAtUs, durationUs: null }];
}
