// SPDX-License-Identifier: Apache-2.0
/**
 * The index: a session named `luo-console` with the record of the update itself in a memfd. It exists from *prepared*
 * until the agent in the next kernel has finished. That agent reads it first, so it needs nothing from disk to know
 * what to retrieve. It is not put into the descriptor store before the kexec: if the agent dies, the kernel drops it,
 * and a half-prepared update undoes itself.
 */
import type { Native, Descriptor as NativeDescriptor } from '@luo-console/native';
import { longestFacts } from '../../adoption/vmm-facts.ts';
import { whyFileSealed } from '../../host/seals.ts';
import type { Unended } from '../../host/unended.ts';
import { preservePatiently } from '../../liveupdate/device.ts';
import type { VmmCommand } from '../../liveupdate/machine-head.ts';
import { preserveInTime } from '../../liveupdate/preserve-in-time.ts';
import { SlotFile } from '../../liveupdate/slots.ts';
import {
  formatToken,
  indexSessionName,
  indexSessionNames,
  indexTokens,
  manifestToken,
  programToken,
} from '../../liveupdate/tokens.ts';
import { mostDescriptors, mostPieces } from '../../qemu/streams.ts';
import type { IndexRecord } from './index-record.ts';
import type { UpdateContext } from './update-context.ts';

/** What it takes to make one, of the whole context. */
type IndexContext = Pick<UpdateContext, 'native' | 'unended'> & {
  readonly sessions: Pick<UpdateContext['sessions'], 'has'>;
  readonly device: Pick<UpdateContext['device'], 'createSession'>;
};

const smallestBytes = 256 * 1024;
/** What a piece takes in a record, and where one of its descriptors is preserved, in bytes. */
const pieceBytes = 64;
const placeBytes = 128;
/** Room for the record of a saved machine, beside its command line: pieces and places, and the facts of its VMM. */
const machineBytes = mostPieces * pieceBytes + mostDescriptors * placeBytes + longestFacts + 4096;

/** Room for a machine. What is preserved of its named memory is listed beside the words that name it. */
const roomFor = (command: VmmCommand): number =>
  machineBytes + 2 * Buffer.byteLength(JSON.stringify(command));

/**
 * What the update's own record can grow by until it is written for the last time, in bytes: by its phases, and by what it
 * says of each machine.
 */
const growthBytes = 4096;
const machineGrowthBytes = 1024;

/** The index of an update that has not left yet. */
export class OutgoingIndex {
  readonly #session: NativeDescriptor;
  readonly #file: NativeDescriptor;
  readonly #slots: SlotFile;
  readonly #native: Native;
  readonly #unended: Unended;
  readonly #signal: AbortSignal | undefined;
  /** The session's name: the next kernel's agent looks for each it could be. */
  readonly name: string;
  #tokens = indexTokens;
  /** The file of the resume program, and how long that can be; null before it has a place. */
  #program: { readonly file: NativeDescriptor; readonly room: number } | null = null;

  private constructor(
    { native, unended }: Pick<IndexContext, 'native' | 'unended'>,
    name: string,
    session: NativeDescriptor,
    file: NativeDescriptor,
    slots: SlotFile,
    signal: AbortSignal | undefined,
  ) {
    this.#native = native;
    this.#unended = unended;
    this.name = name;
    this.#session = session;
    this.#file = file;
    this.#slots = slots;
    this.#signal = signal;
  }

  /**
   * Creates the session with a first record in it.
   *
   * @param commands those of the machines that will be entered in it
   * @param signal ends the waits for it, and for what is preserved in it
   * @throws Refusal; the signal's reason. It is closed then if it is created after all.
   */
  static async create(
    context: IndexContext,
    record: IndexRecord,
    commands: readonly VmmCommand[],
    signal?: AbortSignal,
  ): Promise<OutgoingIndex> {
    const creating = OutgoingIndex.#create(context, record, commands, signal);
    const giveBack = (late: OutgoingIndex): Promise<void> => late.close();
    return await context.unended.waitFor('creating the index session', creating, { signal, giveBack });
  }

  static async #create(
    context: IndexContext,
    record: IndexRecord,
    commands: readonly VmmCommand[],
    signal: AbortSignal | undefined,
  ): Promise<OutgoingIndex> {
    const { native } = context;
    const content = encode(record);
    const room = commands.reduce((sum, command) => sum + roomFor(command), 0);
    // The size is fixed once preserved: room for digests and phases to come, twice, for the two slots.
    const bytes = Math.max(smallestBytes, 4 * content.length) + 2 * room;
    const file = native.memory.memfdCreate('luo-index');
    try {
      native.memory.truncate(file, BigInt(bytes));
      const slots = new SlotFile(native.memory, file);
      slots.write(content);
      // A session of people that came under one of the names keeps it; the next agent looks for both.
      const name = indexSessionNames.find((each) => !context.sessions.has(each)) ?? indexSessionName;
      const session = await context.device.createSession(name);
      try {
        await preservePatiently(() => native.liveUpdate.preserveFd(session, file, manifestToken));
        return new OutgoingIndex(context, name, session, file, slots, signal);
      } catch (error) {
        session.close();
        throw error;
      }
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /**
   * Makes sure that there will be room for a record once all is known that is not yet.
   *
   * @param record as it is while the machines still run
   * @throws Error
   */
  needRoom(record: IndexRecord): void {
    const growth = growthBytes + record.update.machines.length * machineGrowthBytes;
    const bytes = encode(longest(record)).length + growth;
    const { capacity } = this.#slots;
    if (bytes > capacity)
      throw new Error(
        `what the next kernel's agent must know takes up to ${bytes} bytes, and the index has room for ${capacity}`,
      );
  }

  /** @throws RangeError if it has no room */
  write(record: IndexRecord): void {
    this.#slots.write(encode(record));
  }

  /**
   * Preserves a file beside the record, for the next kernel's agent alone. It ends with the index.
   *
   * @param signal ends the wait for it
   * @throws Error if it would come back sealed against writing; NotPreservedInTime; the signal's reason; SystemError, as preserving does
   */
  async preserve(file: NativeDescriptor, signal?: AbortSignal): Promise<{ session: string; token: string }> {
    const sealed = whyFileSealed(this.#native.memory, file);
    if (sealed !== null) throw new Error(`a file cannot be preserved for the next kernel: ${sealed}`);
    const token = this.#tokens;
    this.#tokens += 1n;
    await preserveInTime(this.#kernel, this.#session, file, token, { signal: signal ?? this.#signal });
    return { session: this.name, token: formatToken(token) };
  }

  /**
   * Preserves a file beside the record in which the resume program will be, for the carrier. Until it is written the file
   * holds no program.
   *
   * @param room how long the program will be at most, in bytes
   * @throws NotPreservedInTime; SystemError, as preserving does; `EEXIST` if there is one already
   */
  async makeProgramRoom(room: number): Promise<void> {
    this.#program = await this.#programFile(room);
  }

  /**
   * Writes the resume program beside the record, for the carrier.
   *
   * @param bytes as `encodeProgram` made them
   * @throws Error if the file has no room for it; as `makeProgramRoom`, if there is none yet
   */
  async writeProgram(bytes: Buffer): Promise<void> {
    this.#program ??= await this.#programFile(bytes.length);
    const { file, room } = this.#program;
    if (bytes.length > room)
      throw new Error(`the resume program has ${bytes.length} bytes, and there is room for ${room}`);
    this.#native.memory.write(file, 0n, bytes);
  }

  async #programFile(room: number): Promise<{ file: NativeDescriptor; room: number }> {
    const { memory } = this.#native;
    const file = memory.memfdCreate('luo-resume-program');
    try {
      memory.truncate(file, BigInt(room));
      await preserveInTime(this.#kernel, this.#session, file, programToken, { signal: this.#signal });
      return { file, room };
    } catch (error) {
      file.close();
      throw error;
    }
  }

  get #kernel(): Parameters<typeof preserveInTime>[0] {
    const { liveUpdate, memory } = this.#native;
    return { liveUpdate, memory, unended: this.#unended };
  }

  /**
   * Closes the session: the kernel unpreserves what is in it, page by page. States of machines are, so that is done on a
   * thread.
   *
   * @throws SystemError, as closing does
   */
  async close(): Promise<void> {
    const { descriptors } = this.#native;
    await descriptors.closeAside(this.#session);
    if (this.#program !== null) await descriptors.closeAside(this.#program.file);
    await descriptors.closeAside(this.#file);
  }
}

/** A record with the longest values for what is known only once the machines are stopped. */
function longest(record: IndexRecord): IndexRecord {
  const most = Number.MAX_SAFE_INTEGER;
  const times = { brownoutUs: most, suspendedAtUs: most, savedAtUs: most };
  const state = { token: formatToken(2n ** 64n - 1n), cprBytes: most, mainBytes: most };
  const machines = record.machines.map((machine) => ({ ...machine, ...times, state }));
  return { ...record, jumpedAtUs: most, machines };
}

function encode(record: IndexRecord): Buffer {
  return Buffer.from(JSON.stringify(record), 'utf8');
}
