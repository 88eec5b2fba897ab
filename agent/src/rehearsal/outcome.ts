// SPDX-License-Identifier: Apache-2.0
/**
 * What a rehearsal has found out. It is the machine's problem only if it would be in an update as well. It is not if the
 * rehearsal itself kept its VMM from something, if the running VMM has it, or if the host had no room. Neither is what was
 * ended too soon.
 */
import type { Descriptor, Native } from '@luo-console/native';
import { visible } from '../host/plain-words.ts';
import { saidBy } from '../host/said-by.ts';
import type { Rehearsal } from '../interface/agent.generated.ts';
import type { LoggedMachine } from '../update/program/carrier-log.ts';

export type Outcome = Omit<Rehearsal, 'atUs' | 'changed'>;

/** Nothing was found out. */
export const nothing: Outcome = { problem: null, startUs: null, loadUs: null, stoppedUs: null, left: [] };

/** What is kept of what the VMM writes, in bytes. */
export const outputBytes = 64 * 1024;
/** What of it is shown, in characters. */
const shownCharacters = 500;

/** What is said where something other than the machine is in the way, and what that is. */
const passing: readonly (readonly [RegExp, string])[] = [
  // No unit will keep it from anything in an update.
  [
    /Read-only file system|Operation not permitted|Cannot assign requested address/,
    'the rehearsal itself kept its VMM from something',
  ],
  // In an update the first VMM has ended.
  [
    /Address already in use|Device or resource busy|Text file busy|Failed to get .*lock|Is another process using/,
    'the running VMM has something that the second one needs',
  ],
  // The kernel ends a VMM in a rehearsal before anything else (`rehearsal-unit.ts`).
  [
    /Cannot allocate memory|No space left on device|Resource temporarily unavailable|Too many open files in system/,
    'the host had no room for a second VMM',
  ],
  [/ended by signal 9\b/, 'its second VMM was killed, as where a host is short of memory'],
];

/** What only a rehearsal has done for it: if that fails, nothing is known of the VMM. */
const ownInstructions = ['apart', 'tap', 'present'];

/** Before what keeps a state from being loaded, in `left`. */
export const ofLoading = 'loading its state: ';

/** What other than the machine is in the way; null if it is the machine. @param words QEMU's, or those of the carrier */
export function passingCause(words: string): string | null {
  const what = passing.find(([said]) => said.test(words))?.[1];
  return what === undefined ? null : `${what} (${words})`;
}

/** What the VMM wrote last, as one line. @param output in which zeros are behind it */
export function saidIn({ memory }: Pick<Native, 'memory'>, output: Descriptor): string {
  const [written = ''] = memory.read(output, 0n, outputBytes).toString('utf8').split('\0', 1);
  return visible(written.trim().replace(/\s+/g, ' ').slice(-shownCharacters));
}

export interface Found {
  /** What the carrier's log says. */
  readonly did: Pick<LoggedMachine, 'reached' | 'failed' | 'failedAt' | 'done'>;
  /** What came of taking the state. */
  readonly taken: Outcome;
  /** What the VMM wrote. */
  readonly said: string;
  /** Why the unit failed; null if it did not. */
  readonly failure: unknown;
  /** Names that the VMM had, by those of the running one. */
  readonly moved: ReadonlyMap<string, string>;
}

export function outcomeOf({ did, taken, said, failure, moved }: Found): Outcome {
  const { reached, failed, failedAt, done } = did;
  const between = (from: number | undefined, to: number | undefined): number | null =>
    from === undefined || to === undefined ? null : Math.round((to - from) / 1000);
  const startUs = between(reached.get('starting'), reached.get('loading'));
  const givenNs = done.find(({ what }) => what.startsWith('present '))?.doneNs;
  const loadUs = between(givenNs, reached.get('loaded'));
  const outcome = { ...taken, startUs, loadUs };
  // Without a start there is nothing that something could be left out of.
  const without = (why: string): Outcome =>
    startUs === null
      ? { ...outcome, left: [why] }
      : { ...outcome, left: [...outcome.left, `${ofLoading}${why}`] };
  // It is known why no state was loaded, and the VMM was ended for that.
  const isSaid = startUs !== null && taken.left.some((each) => each.startsWith(ofLoading));
  if (taken.problem !== null || isSaid) return outcome;
  if (failed !== null) {
    const words = asNamed(said === '' ? failed : `${failed}: ${said}`, moved);
    const why = ownInstructions.includes(failedAt?.split(' ')[0] ?? '')
      ? `the rehearsal itself could not do something (${words})`
      : passingCause(words);
    if (why !== null) return without(why);
    return { ...outcome, problem: startUs === null ? words : `its state cannot be loaded: ${words}` };
  }
  const why = saidBy(failure ?? endedEarly);
  if (startUs === null) return without(why);
  return taken.stoppedUs !== null && loadUs === null ? without(why) : outcome;
}

const endedEarly = 'its unit ended before it was through';

/** A text with the names that the machine's own command line has. */
const asNamed = (text: string, moved: ReadonlyMap<string, string>): string =>
  [...moved].reduce((words, [name, other]) => words.replaceAll(other, name), text);
