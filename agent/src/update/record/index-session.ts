// SPDX-License-Identifier: Apache-2.0
/**
 * The index: a session named `luo-console` with the record of the update itself in a memfd. It exists from *prepared*
 * until the agent in the next kernel has finished. That agent reads it first, so it needs nothing from disk to know
 * what to retrieve. It is not put into the descriptor store before the kexec: if the agent dies, the kernel drops it,
 * and a half-prepared update undoes itself.
 */
import type { LiveUpdate, Descriptor as NativeDescriptor } from '@luo-console/native';
import * as v from 'valibot';
import { SavedMachine } from '../../adoption/saved-machine.ts';
import type { Update } from '../../interface/agent.generated.ts';
import { ClockReading } from '../../kernel/surviving-clock.ts';
import { SlotFile } from '../../liveupdate/slots.ts';
import {
  formatToken,
  indexSessionName,
  indexSessionNames,
  indexTokens,
  manifestToken,
} from '../../liveupdate/tokens.ts';
import { UpdateFacts } from './facts.ts';
import { readRecord } from './stored-record.ts';
import type { UpdateContext } from './update-context.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const indexFormat = 'luo-index-1';

const IndexRecord = v.object({
  format: v.literal(indexFormat),
  update: v.pipe(
    v.unknown(),
    v.transform(readRecord),
    v.custom<Update>((record) => record !== null, 'no record of an update'),
  ),
  /** Sessions with the number of descriptors each should come with. */
  sessions: v.pipe(
    v.array(v.object({ name: v.pipe(v.string(), v.maxLength(63)), descriptors: count })),
    v.maxLength(65536),
  ),
  /** When the reboot call was about to be made, µs since the epoch; null before. */
  jumpedAtUs: v.nullable(count),
  /** Machines that were stopped and saved, to be started again. */
  machines: v.optional(v.pipe(v.array(SavedMachine), v.maxLength(4096)), []),
  /** A reading of the clock that goes on through the kexec. */
  clock: v.optional(v.nullable(ClockReading), null),
  /** What the plan's steps follow from; null from an agent before this one, or one that knows other facts. */
  facts: v.optional(v.fallback(v.nullable(UpdateFacts), null), null),
});
export type IndexRecord = v.InferOutput<typeof IndexRecord>;

/** Whether something that was stored is a record of an index, of whatever contents. */
export const isOfIndex = (stored: unknown): boolean =>
  v.is(v.looseObject({ format: v.literal(indexFormat) }), stored);

/** Reads a stored record. @throws Error that says what does not fit */
export const parseIndexRecord = (stored: unknown): IndexRecord => v.parse(IndexRecord, stored);

/** A record in the format of this agent. */
export function newIndexRecord(content: Omit<IndexRecord, 'format'>): IndexRecord {
  return { format: indexFormat, ...content };
}

const smallestBytes = 256 * 1024;
/** Room for the record of a saved machine, beside its command line. */
const machineBytes = 64 * 1024;

/** The index of an update that has not left yet. */
export class OutgoingIndex {
  readonly #session: NativeDescriptor;
  readonly #file: NativeDescriptor;
  readonly #slots: SlotFile;
  readonly #liveUpdate: LiveUpdate;
  readonly #name: string;
  #tokens = indexTokens;

  private constructor(
    liveUpdate: LiveUpdate,
    name: string,
    session: NativeDescriptor,
    file: NativeDescriptor,
    slots: SlotFile,
  ) {
    this.#liveUpdate = liveUpdate;
    this.#name = name;
    this.#session = session;
    this.#file = file;
    this.#slots = slots;
  }

  /**
   * Creates the session with a first record in it.
   *
   * @param machines how many will be entered in it
   * @throws Refusal
   */
  static async create(context: UpdateContext, record: IndexRecord, machines: number): Promise<OutgoingIndex> {
    const { native } = context;
    const content = encode(record);
    // The size is fixed once preserved: room for digests and phases to come, twice, for the two slots.
    const bytes = Math.max(smallestBytes, 4 * content.length) + 2 * machines * machineBytes;
    const file = native.memory.memfdCreate('luo-index');
    try {
      native.memory.truncate(file, BigInt(bytes));
      const slots = new SlotFile(native.memory, file);
      slots.write(content);
      // A session of people that came under one of the names keeps it; the next agent looks for both.
      const name = indexSessionNames.find((each) => !context.sessions.has(each)) ?? indexSessionName;
      const session = await context.device.createSession(name);
      try {
        await native.liveUpdate.preserveFd(session, file, manifestToken);
        return new OutgoingIndex(native.liveUpdate, name, session, file, slots);
      } catch (error) {
        session.close();
        throw error;
      }
    } catch (error) {
      file.close();
      throw error;
    }
  }

  write(record: IndexRecord): void {
    this.#slots.write(encode(record));
  }

  /**
   * Preserves a file beside the record, for the next kernel's agent alone. It ends with the index.
   *
   * @throws SystemError, as preserving does
   */
  async preserve(file: NativeDescriptor): Promise<{ session: string; token: string }> {
    const token = this.#tokens;
    this.#tokens += 1n;
    await this.#liveUpdate.preserveFd(this.#session, file, token);
    return { session: this.#name, token: formatToken(token) };
  }

  /** Closes the session: the kernel unpreserves the record. */
  close(): void {
    this.#session.close();
    this.#file.close();
  }
}

function encode(record: IndexRecord): Buffer {
  return Buffer.from(JSON.stringify(record), 'utf8');
}
