// SPDX-License-Identifier: Apache-2.0
/**
 * A session that the agent holds, and the lifecycle of a session.
 *
 * Of each session the agent keeps the kernel's descriptor, the manifest, and a copy of every preserved descriptor.
 * The copies are there because the kernel returns a file only after a kexec. They also hold the memory while the
 * kernel's session is built again. The service manager's descriptor store has all three as well.
 *
 *     create → outgoing ──(kexec)──→ incoming ──finish──→ unbuilt ──build──→ outgoing → …
 *                 │ ↑                    │                  ↑
 *                 │ └─ build ← unbuilt ← take one out       └ the build fails: tried again every 5 s
 *                 └─ close → gone        └─ close → gone
 *
 * - *outgoing*: its memory will come through the next kexec. When its last descriptor closes, the kernel unpreserves
 *   everything in it. A program that fetched the session counts as well.
 * - *incoming*: it came through a kexec and is retrieved. What is not retrieved when it is finished or closed is freed.
 * - *unbuilt*: `descriptor` is null. The files survive the agent's death, but not a kexec, so no update may begin.
 *
 * `sessions.ts` moves a session, each time as an act in the journal. The agent in the next kernel finishes all that
 * came and builds them again. The manifest says `closing` or `rebuilding` meanwhile: an agent that finds this
 * completes it (`intake.ts`).
 *
 * - The agent dies before the store has a copy of the session: the kernel closes it. A new one has never been there.
 *   One that was just retrieved is finished, so its memory is lost; the outcome names it.
 * - The agent dies later: the next one takes everything back from the store. Without a service manager all is lost.
 * - The name is taken: after 5 s `SessionExists`, and nothing is left behind.
 * - The device is busy: after 5 s `DeviceBusy` with the holder. Nothing is taken apart before the device is free.
 * - A session cannot be retrieved after a kexec: it is tried again for a moment. Then it is said that it could not be looked
 *   at. The kernel keeps it until the next kexec, so `RetrieveSession` may still succeed. It is lost only if the kernel says
 *   that it has none.
 * - Memory is refused while a session is built: the kernel's half-built session is closed, and this one stays unbuilt.
 *   A device that is refused does not stop the build. It is only held (`refused`), until the next start of the agent.
 * - The session was handed out: its holder may have preserved what no manifest names. It is never taken apart, and
 *   after an update it stays incoming until somebody finishes it. Closed here, it lives on with its holder.
 * - The manifest is unreadable: an incoming session stays as it is, with everything in it, and finishing it frees all.
 *   An outgoing one is held without entries. Either keeps updates from beginning until it is finished or closed.
 * - The agent dies, and the next one cannot look at all of its files in the store. Nothing is taken apart or built
 *   until it can (`boxed-files.ts`).
 * - `finish` is refused for 5 s: the session stays incoming, and the outcome says so.
 *
 * Tests:
 *     agent/test/sessions.test.ts
 *       unpreserves everything and leaves nothing with the service manager
 *       that somebody else has open is named with its holder once patience ends
 *     agent/test/live-update.test.ts
 *       is repeatable: what was carried is protected for the next one
 *     agent/test/crash.test.ts
 *       while taking a descriptor out of $many keeps the others
 *       in the next kernel gets everything back at the next start
 *     agent/test/unmanaged.test.ts
 *       works, warns before an update, and says after its death what is gone
 *     agent/test/unplanned.test.ts
 *       stays incoming after the update, so that nothing is freed that only its holder knows
 *       is built by itself later, and is not run into an update before
 *     agent/test/session-lifecycle.test.ts
 *       has its manifest in the kernel, also if the agent died before it had put it there
 *       of a name that another program holds is refused, and nothing is left of it
 *       that was handed out and closed lives on with its holder, and so does its name
 *       is lost if the agent dies with the only descriptor of it, and the outcome says so
 *       whose finish the kernel refuses stays incoming, and the outcome says so
 *       that cannot be retrieved is reported as absent, and can be retrieved by hand later
 *       stays incoming after the update with everything in it, until somebody finishes it
 *       is held by an agent that was started again, and keeps updates from beginning
 *     agent/test/unopened-boxes.test.ts
 *       keeps its session from being taken apart, and is looked into again: %s
 *       is no reason to build a session without its files, which is built once they are there
 *       has files that are said to be there, and that come through a kexec
 *       has no file that the record of an interrupted update calls lost
 *       goes with its session when that is closed
 *     agent/src/liveupdate/build-session.test.ts
 *       a device that is refused this time is held without being preserved, and the memory is preserved
 *       memory that is refused leaves the session unbuilt, with all of its files held
 */
import type { Descriptor as NativeDescriptor } from '@luo-console/native';
import { Refusal } from '../host/refusal.ts';
import { Serial } from '../host/serial.ts';
import type { Descriptor, Direction, Session, SessionBrief } from '../interface/agent.generated.ts';
import type { MachineHead } from './machine-head.ts';
import type { Manifest } from './manifest.ts';
import type { ManifestEntry } from './manifest-format.ts';
import { formatToken } from './tokens.ts';

export class HeldSession {
  readonly name: string;
  /** Serialises what changes the session. */
  readonly serial = new Serial();
  readonly files = new Map<bigint, NativeDescriptor>();
  /** The errno of each descriptor that could not be retrieved. */
  readonly unretrieved = new Map<bigint, string>();
  /** Files that `files` lacks because a box of the store could not be looked into (`boxed-files.ts`). They are not lost. */
  readonly inBoxes = new Set<bigint>();
  /** The files that the kernel did not take when the session was built again, with the reason. */
  readonly refused = new Map<bigint, string>();
  direction: Direction;
  descriptor: NativeDescriptor | null;
  /** Null for a session that somebody else made: the kernel cannot say what is in it. */
  manifest: Manifest | null;
  /** Set once the session is gone from the agent; a task that waited for its turn must not revive it. */
  gone = false;

  constructor(
    name: string,
    direction: Direction,
    descriptor: NativeDescriptor | null,
    manifest: Manifest | null,
  ) {
    this.name = name;
    this.direction = direction;
    this.descriptor = descriptor;
    this.manifest = manifest;
  }

  /** Whether somebody else may have preserved something in it that its manifest does not name. */
  get handedOut(): boolean {
    return this.manifest?.head.handedOut ?? false;
  }

  /** The machine whose session this is; null for one that people made. */
  get machine(): MachineHead | null {
    return this.manifest?.head.machine ?? null;
  }

  /** Writes down something new of the machine whose session this is. */
  updateMachine(change: Partial<MachineHead>): void {
    if (this.machine !== null) this.manifest?.updateHead({ machine: { ...this.machine, ...change } });
  }

  /** Whether the kernel's session is missing and can be built: its files are held meanwhile. */
  get unbuilt(): boolean {
    return !this.gone && this.descriptor === null && this.manifest !== null;
  }

  /** The session descriptor. @throws Refusal SessionNotFound if the session is closed or not built. */
  get open(): NativeDescriptor {
    if (this.gone || this.descriptor === null) throw new Refusal('SessionNotFound', { name: this.name });
    return this.descriptor;
  }

  /** @throws Refusal WrongDirection */
  need(needed: Direction): void {
    if (this.gone) throw new Refusal('SessionNotFound', { name: this.name });
    if (this.direction !== needed) {
      throw new Refusal('WrongDirection', { name: this.name, direction: this.direction, needed });
    }
  }

  /** The file under a token. @throws Refusal TokenNotFound; KernelCallFailed if it is still in a box */
  file(token: bigint): NativeDescriptor {
    const file = this.files.get(token);
    if (!file && this.inBoxes.has(token))
      throw new Refusal('KernelCallFailed', {
        call: 'recvmsg(MSG_PEEK)',
        errno: 'EAGAIN',
        argument: formatToken(token),
        message: `${formatToken(token)} of session ${this.name} could not be taken out of the descriptor store yet; the agent tries again`,
      });
    if (!file) throw new Refusal('TokenNotFound', { session: this.name, token: formatToken(token) });
    return file;
  }

  /** What is known of the descriptor under a token, as the interface says it. @throws Refusal TokenNotFound */
  describe(token: bigint): Descriptor {
    const entry = this.manifest?.get(token);
    if (entry?.state !== 'preserved')
      throw new Refusal('TokenNotFound', { session: this.name, token: formatToken(token) });
    return this.#describe(entry);
  }

  /** The session as the interface says it. */
  toSession(): Session {
    const descriptors = (this.manifest?.entries() ?? [])
      .filter(({ state }) => state === 'preserved')
      .map((entry) => this.#describe(entry));
    const head = this.manifest?.head;
    return {
      name: this.name,
      direction: this.direction,
      createdAtUs: head?.createdAtUs ?? 0,
      createdBy: head?.createdBy ?? 'unknown',
      carried: head?.carried ?? 0,
      size: descriptors.reduce((sum, { size }) => sum + size, 0),
      descriptors,
    };
  }

  toBrief(): SessionBrief {
    const { descriptors, size } = this.manifest?.totals() ?? { descriptors: 0, size: 0 };
    return { name: this.name, direction: this.direction, size, descriptors };
  }

  #describe({ order: _order, state: _state, ...entry }: ManifestEntry): Descriptor {
    return { ...entry, direction: this.direction };
  }

  /** Closes every descriptor the agent has of it. What that does in the kernel depends on the direction. */
  release(): void {
    this.gone = true;
    this.descriptor?.close();
    this.manifest?.close();
    for (const file of this.files.values()) file.close();
    this.files.clear();
  }
}
