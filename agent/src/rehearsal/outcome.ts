// SPDX-License-Identifier: Apache-2.0
/**
 * What a rehearsal has found out. It is the machine's problem only if it would be in an update as well. What the rehearsal
 * itself has kept a VMM from, and what was ended too soon, says nothing of the machine.
 */
import type { Descriptor, Native } from '@luo-console/native';
import { visible } from '../host/plain-words.ts';
import { saidBy } from '../host/said-by.ts';
import type { Rehearsal } from '../interface/agent.generated.ts';
import type { LoggedMachine } from '../update/program/carrier-log.ts';

export type Outcome = Omit<Rehearsal, 'atUs'>;

/** Nothing was found out. */
export const nothing: Outcome = { problem: null, startUs: null, loadUs: null, stoppedUs: null, left: [] };

/** What is kept of what the VMM writes, in bytes. */
export const outputBytes = 64 * 1024;
/** What of it is shown, in characters. */
const shownCharacters = 500;

/** What QEMU says where its unit keeps it from something, which no unit will in an update. */
const confined = /Read-only file system|Operation not permitted|Cannot assign requested address/;

/** What only a rehearsal has done for it: if that fails, nothing is known of the VMM. */
const ownInstructions = ['apart', 'tap', 'present'];

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
  const without = (what: string): Outcome => ({ ...outcome, left: [...outcome.left, what] });
  if (taken.problem !== null) return outcome;
  if (failed !== null) {
    const words = asNamed(said === '' ? failed : `${failed}: ${said}`, moved);
    if (confined.test(words) || ownInstructions.includes(failedAt?.split(' ')[0] ?? ''))
      return without(`the rest: the rehearsal itself kept its VMM from something (${words})`);
    return { ...outcome, problem: startUs === null ? words : `its state cannot be loaded: ${words}` };
  }
  const why = saidBy(failure ?? 'its unit ended before it was through');
  if (startUs === null) return without(`all of it: ${why}`);
  return taken.stoppedUs !== null && loadUs === null ? without(`loading its state: ${why}`) : outcome;
}

/** A text with the names that the machine's own command line has. */
const asNamed = (text: string, moved: ReadonlyMap<string, string>): string =>
  [...moved].reduce((words, [name, other]) => words.replaceAll(other, name), text);
