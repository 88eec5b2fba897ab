// SPDX-License-Identifier: Apache-2.0
/**
 * How long a machine may take to arrive. The carrier gives up a VMM that does nothing, not one that takes its time. So
 * what must end in a given time is decided here, from sizes and from the slowest rates that are still accepted.
 */
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import type { VmmFacts } from '../../adoption/vmm-facts.ts';
import type { Values } from './instructions.ts';

/** How long a VMM may do nothing while it is waited for, in seconds. */
export const usualQuietS = 60;
/** As slow as a VMM may take its state, in bytes a second. */
const slowestLoad = 20_000_000;
/** As slow as a VMM may fill or lock its memory before it listens, in bytes a second: one processor clears more. */
const slowestFill = 1_000_000_000;
/** For everything else that a VMM does before its guest runs, in seconds. */
const usualS = 180;
/** The carrier takes no longer wait (`LONGEST_WAIT_S`, program.h). */
const longestWaitS = 86_400;
/** A machine that could be stopped for longer than this is not carried over, in seconds. */
export const longestArrivalS = 2 * 3600;

/** What is known of a machine that decides how long it takes. */
export interface ArrivalSizes {
  /** Bytes of its state, with its memory if that is saved, too. */
  readonly stateBytes: number;
  /** Bytes that its VMM fills or locks before it listens; null if that is unknown. */
  readonly filledBytes: number | null;
}

const fillS = (bytes: number): number => Math.ceil(bytes / slowestFill);

/** Up to how long a machine takes from its VMM's start until it runs, in seconds, if nothing has to be waited for. */
export const arrivalS = ({ stateBytes, filledBytes }: ArrivalSizes): number =>
  usualS + Math.ceil(stateBytes / slowestLoad) + fillS(filledBytes ?? 0);

/** How patient the carrier is with a VMM. @param quietS how long it may do nothing, in seconds */
export function patienceWith(
  { filledBytes }: Pick<VmmFacts, 'filledBytes'>,
  quietS: number,
): Values<'patience'> {
  // One of which nothing is known may be as large as any that comes along: it has to be busy all the time.
  const busyS = filledBytes === null ? longestArrivalS : 2 * quietS + fillS(filledBytes);
  return { quietS, wholeS: Math.min(longestWaitS, busyS), leastBytes: quietS * slowestLoad };
}

/** @param memory bytes of its memory; null if unknown */
export const stateBytesOf = (way: SavedMachine['way'] | 'none', memory: number | null): number =>
  // What devices have to save is far less than what `usualS` leaves room for.
  way === 'whole_state' ? (memory ?? 0) : 0;
