// SPDX-License-Identifier: Apache-2.0
/**
 * What is written in an index session: the record of the update, its sessions, and its machines. The next kernel's
 * agent needs nothing else. A writer holds itself to the strict schema. A reader takes each part by itself, so a bad
 * record of one machine costs that machine only. What cannot be read is handed on as it is.
 */
import * as v from 'valibot';
import { SavedMachine } from '../../adoption/saved-machine.ts';
import type { Update } from '../../interface/agent.generated.ts';
import { ClockReading } from '../../kernel/surviving-clock.ts';
import { UpdateFacts } from './facts.ts';
import { readRecord } from './stored-record.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const indexFormat = 'luo-index-1';

const StoredUpdate = v.pipe(
  v.unknown(),
  v.transform(readRecord),
  v.custom<Update>((record) => record !== null, 'no record of an update'),
);
/** A session with the number of descriptors it should come with. */
const StoredSession = v.object({ name: v.pipe(v.string(), v.maxLength(63)), descriptors: count });

const IndexRecord = v.object({
  format: v.literal(indexFormat),
  update: StoredUpdate,
  sessions: v.pipe(v.array(StoredSession), v.maxLength(65536)),
  /** When the reboot call was about to be made, µs since the epoch; null before. */
  jumpedAtUs: v.nullable(count),
  /** Machines that were stopped and saved, to be started again. */
  machines: v.pipe(v.array(SavedMachine), v.maxLength(4096)),
  /** A reading of the clock that goes on through the kexec. */
  clock: v.nullable(ClockReading),
  /** What the plan's steps follow from. */
  facts: v.nullable(UpdateFacts),
});
/** An index as an agent writes it. */
export type IndexRecord = v.InferOutput<typeof IndexRecord>;

/** A machine of an index whose record does not fit, with what can be told of it all the same. */
export interface UnreadMachine {
  readonly name: string | null;
  readonly session: string | null;
  /** Where its state is in the index session. */
  readonly stateToken: string | null;
  readonly stored: unknown;
  /** What does not fit, in words. */
  readonly problem: string;
}

/** An index as an agent reads it, perhaps one that another version wrote. */
export interface IndexContents {
  /** Null if it does not fit. */
  readonly update: Update | null;
  readonly sessions: IndexRecord['sessions'];
  readonly jumpedAtUs: number | null;
  readonly machines: readonly SavedMachine[];
  readonly unread: readonly UnreadMachine[];
  readonly clock: IndexRecord['clock'];
  /** Null from an agent that wrote none, or knows other facts. */
  readonly facts: IndexRecord['facts'];
}

/** Whether something that was stored is a record of an index, of whatever contents. */
export const isOfIndex = (stored: unknown): boolean =>
  v.is(v.looseObject({ format: v.literal(indexFormat) }), stored);

/** A part of what was stored, or `otherwise` if it does not fit. */
function partOf<S extends v.GenericSchema, Other>(schema: S, stored: unknown, otherwise: Other) {
  const parsed = v.safeParse(schema, stored);
  return parsed.success ? parsed.output : otherwise;
}

const text = (longest: number) => v.pipe(v.string(), v.minLength(1), v.maxLength(longest));
const Told = v.object({
  name: v.fallback(v.nullable(text(256)), null),
  session: v.fallback(v.nullable(text(63)), null),
  state: v.fallback(v.nullable(v.object({ token: v.pipe(v.string(), v.regex(/^0x[0-9a-f]{1,16}$/)) })), null),
});

function unreadMachine(stored: unknown, problem: string): UnreadMachine {
  const told = v.safeParse(Told, stored);
  const { name, session, state } = told.success ? told.output : { name: null, session: null, state: null };
  return { name, session, stateToken: state?.token ?? null, stored, problem };
}

/** What does not fit, and where: `command.words: expected at most 4096`. */
function problemOf([issue]: readonly v.BaseIssue<unknown>[]): string {
  if (issue === undefined) return 'it does not fit';
  const path = v.getDotPath(issue);
  return path === null ? issue.message : `${path}: ${issue.message}`;
}

/** Reads the stored record of an index, each part by itself. @throws Error if it has machines in another form */
export function readIndexRecord(stored: unknown): IndexContents {
  const parts: Readonly<Record<string, unknown>> = partOf(v.record(v.string(), v.unknown()), stored, {});
  const list = (name: string): unknown[] => partOf(v.array(v.unknown()), parts[name], []);
  const machines: SavedMachine[] = [];
  const unread: UnreadMachine[] = [];
  // Of another version, or damaged: nothing of it may be thrown away.
  if (parts['machines'] !== undefined && !Array.isArray(parts['machines']))
    throw new Error('its machines are not a list');
  for (const each of list('machines')) {
    const parsed = v.safeParse(SavedMachine, each);
    if (parsed.success) machines.push(parsed.output);
    else unread.push(unreadMachine(each, problemOf(parsed.issues)));
  }
  return {
    update: partOf(StoredUpdate, parts['update'], null),
    sessions: list('sessions').flatMap((each) => partOf(StoredSession, each, [])),
    jumpedAtUs: partOf(count, parts['jumpedAtUs'], null),
    machines,
    unread,
    clock: partOf(ClockReading, parts['clock'], null),
    facts: partOf(UpdateFacts, parts['facts'], null),
  };
}

/**
 * A record in the format of this agent, held to what a reader demands: what cannot be read must not be relied on.
 *
 * @throws Error that says which part does not fit
 */
export function newIndexRecord(content: Omit<IndexRecord, 'format'>): IndexRecord {
  const record = { format: indexFormat, ...content } as const;
  const parsed = v.safeParse(IndexRecord, record);
  if (parsed.success) return record;
  throw new Error(`the index record does not fit its own format: ${problemOf(parsed.issues)}`);
}
