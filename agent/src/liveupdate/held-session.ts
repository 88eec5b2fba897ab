// SPDX-License-Identifier: Apache-2.0
/**
 * A session that the agent holds: its descriptor, its manifest, and a descriptor of its own of every file
 * preserved in it, so that an outgoing file can be fetched and digested although the kernel hands out only
 * incoming ones.
 *
 * `descriptor` is null only while the session is being built anew; the files then are what keeps the memory.
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
  /** Those of the files that the kernel did not take when the session was built anew, with the reason. */
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

  /** The file under a token. @throws Refusal TokenNotFound */
  file(token: bigint): NativeDescriptor {
    const file = this.files.get(token);
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
