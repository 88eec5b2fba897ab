// SPDX-License-Identifier: Apache-2.0
/**
 * The index: a session named `luo-console` with the record of the update itself in a memfd. It exists from *prepared*
 * until the agent in the next kernel has finished. That agent reads it first, so it needs nothing from disk to know
 * what to retrieve. It is not put into the descriptor store before the kexec: if the agent dies, the kernel drops it,
 * and a half-prepared update undoes itself.
 */
import type { LiveUpdate, Native, Descriptor as NativeDescriptor } from '@luo-console/native';
import * as v from 'valibot';
import { SavedMachine } from '../../adoption/saved-machine.ts';
import { errnoOf, Refusal } from '../../host/refusal.ts';
import { saidBy } from '../../host/said-by.ts';
import type { Update } from '../../interface/agent.generated.ts';
import { ClockReading } from '../../kernel/surviving-clock.ts';
import { SlotFile } from '../../liveupdate/slots.ts';
import {
  formatToken,
  formerIndexSessionName,
  indexSessionName,
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
  #tokens = indexTokens;

  private constructor(
    liveUpdate: LiveUpdate,
    session: NativeDescriptor,
    file: NativeDescriptor,
    slots: SlotFile,
  ) {
    this.#liveUpdate = liveUpdate;
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
      const session = await context.device.createSession(indexSessionName);
      try {
        await native.liveUpdate.preserveFd(session, file, manifestToken);
        return new OutgoingIndex(native.liveUpdate, session, file, slots);
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
    return { session: indexSessionName, token: formatToken(token) };
  }

  /** Closes the session: the kernel unpreserves the record. */
  close(): void {
    this.#session.close();
    this.#file.close();
  }
}

/** The index of the update that brought the host here. */
export interface IncomingIndex {
  readonly session: NativeDescriptor;
  /** Null if the record cannot be read, with the reason in `problem`. */
  readonly record: IndexRecord | null;
  readonly problem: string | null;
}

/**
 * Retrieves the index of the kernel before and keeps its session in the descriptor store, for an agent that may
 * have to do this again.
 *
 * @param handed its descriptor, if the service manager handed one back.
 * @returns null if none was handed over.
 * @throws Refusal DeviceBusy
 */
export async function takeIndex(
  context: UpdateContext,
  handed: NativeDescriptor | null,
): Promise<IncomingIndex | null> {
  const session = handed ?? (await retrieveIndex(context));
  return session === null ? null : await readIndex(context.native, session);
}

/** Reads the record out of an incoming index session. */
export async function readIndex(native: Native, session: NativeDescriptor): Promise<IncomingIndex> {
  try {
    using file = await native.liveUpdate.retrieveFd(session, manifestToken);
    return { session, record: recordIn(new SlotFile(native.memory, file)), problem: null };
  } catch (error) {
    const reason = errnoOf(error) ?? saidBy(error);
    return { session, record: null, problem: reason };
  }
}

function recordIn(slots: SlotFile): IndexRecord {
  const content = slots.read();
  if (content === null) throw new Error('neither of its slots is whole');
  return v.parse(IndexRecord, JSON.parse(content.toString('utf8')));
}

/** A missing index is an answer, not a failure: it shows that no update brought the host here. */
async function retrieveIndex(context: UpdateContext): Promise<NativeDescriptor | null> {
  const { device, descriptorStore, journal } = context;
  const attempt = async (name: string): Promise<NativeDescriptor | null> => {
    try {
      return await device.retrieveSession(name);
    } catch (error) {
      const none = ['SessionNotFound', 'NoLiveUpdate'];
      if (error instanceof Refusal && none.includes(error.refusal)) return null;
      throw error;
    }
  };
  return await journal.act(
    'index.retrieve',
    {},
    async () => {
      const session = (await attempt(indexSessionName)) ?? (await attempt(formerIndexSessionName));
      // In the store it has the new name in any case.
      if (session !== null) descriptorStore.keepSession(indexSessionName, session);
      return session;
    },
    (session) => ({ message: session === null ? 'none was handed over' : '' }),
  );
}

/** Finishes the index session: it has done its work. */
export async function dismiss(context: UpdateContext, index: IncomingIndex): Promise<void> {
  await context.journal.act('index.finish', { update: index.record?.update.id ?? null }, async () => {
    try {
      await context.native.liveUpdate.finish(index.session);
    } finally {
      context.descriptorStore.dropSession(indexSessionName);
      index.session.close();
    }
  });
}

function encode(record: IndexRecord): Buffer {
  return Buffer.from(JSON.stringify(record), 'utf8');
}
