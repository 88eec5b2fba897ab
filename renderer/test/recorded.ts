// SPDX-License-Identifier: Apache-2.0
/**
 * Recordings of updates: what an agent told a client that followed them, word for word. Tests take progress from here
 * and not from their own idea of an update. So they cannot pass on a state that no agent is ever in.
 *
 * `recorded/update.json` is of an update that ended as `updated`, `recorded/refused.json` of one that the kernel
 * refused in its kexec (`returned`). Both waited in their grace, and had no machines. `lab/test/lab/recording.lab.ts`
 * writes them with LUO_RECORD=1, and checks with every run what tests rely on here.
 *
 * Each is a JSON array in the order of arrival. An element is one reply of `RunUpdate` or `FollowUpdate`, with the
 * time it was heard at:
 *
 *     { "atUs": 1795603747938000, "progress": { …Progress } | null, "update": { …Update } | null }
 *
 * `atUs` is the client's clock, set to the host's, in µs since the epoch. First come the replies of the old kernel's
 * agent, then those of the next one's. The last element is the reply of `GetUpdate` with `progress` null: the update
 * as it ended.
 */
import { AgentInterface, type Phase, type Progress, type Update } from '@luo-console/agent/interface';
import * as v from 'valibot';
import refusedRecording from './recorded/refused.json';
import updateRecording from './recorded/update.json';

const { entries: reply } = AgentInterface.methods.FollowUpdate.reply;

const Recording = v.pipe(
  v.array(v.strictObject({ atUs: v.pipe(v.number(), v.integer()), ...reply })),
  v.minLength(3, 'a recording has progress from before the kexec, some more, and the update as it ended'),
);

export type Heard = v.InferOutput<typeof Recording>[number];

/** Adds to every time in a recording: members whose names end in `AtUs`. The offsets in parts of a blackout stay. */
function moved<T>(value: T, byUs: number): T {
  const inner = (of: unknown, name: string): unknown => {
    if (typeof of === 'number') return /(^a|A)tUs$/.test(name) ? of + byUs : of;
    if (Array.isArray(of)) return of.map((one) => inner(one, name === 'parts' ? 'parts' : ''));
    if (typeof of !== 'object' || of === null) return of;
    return Object.fromEntries(
      Object.entries(of).map(([key, one]) => [key, name === 'parts' ? one : inner(one, key)]),
    );
  };
  return inner(value, '') as T;
}

export interface RecordedUpdate {
  /** All that was heard, in order. */
  readonly heard: readonly Heard[];
  /** The progress in it. */
  readonly progress: readonly Progress[];
  /** The progress in which the grace was announced. */
  readonly announced: Progress;
  /** The update as it ended. */
  readonly ended: Update;
  /** The last progress heard in a phase. @throws Error if none was heard in it */
  in(phase: Phase): Progress;
}

/**
 * The update that was carried out.
 * @param startUs where to put the beginning of the update in time, in µs since the epoch; its own time if left out
 * @throws Error, of valibot if the file does not fit the interface any more: record it again
 */
export const recordedUpdate = (startUs?: number): RecordedUpdate => read(updateRecording, startUs);

/** The update that the kernel refused. Throws as `recordedUpdate`. */
export const recordedRefusal = (): RecordedUpdate => read(refusedRecording);

function read(recording: unknown, startUs?: number): RecordedUpdate {
  const parsed = v.parse(Recording, recording);
  const { atUs: from = 0 } = parsed[0] ?? {};
  const heard = startUs === undefined ? parsed : moved(parsed, startUs - from);
  const progress = heard.flatMap((one) => (one.progress ? [one.progress] : []));
  const announced = progress.find(({ graceEndsAtUs }) => graceEndsAtUs !== null);
  const ended = heard.at(-1)?.update;
  if (!announced)
    throw new Error('the recording has no grace: record an update that waits after its announcement');
  if (!ended)
    throw new Error('the recording does not end with the update: its last element is that of GetUpdate');
  return {
    heard,
    progress,
    announced,
    ended,
    in(phase) {
      const found = progress.findLast((one) => one.phase === phase);
      if (!found) throw new Error(`the recording has no progress in phase ${phase}`);
      return found;
    },
  };
}
