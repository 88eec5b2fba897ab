// SPDX-License-Identifier: Apache-2.0
/**
 * What a timeline shows of the machines, before it is drawn. Each machine has a lane with its brownout, its blackout
 * and the parts of the blackout. Times are µs since the epoch, as those of the phases.
 */
import type { BlackoutPart, MachineRun } from '@luo-console/agent/interface';
import { duration } from '../format/quantity.ts';
import { firstSuspended } from '../state/machine-runs.ts';
import { stageMarks } from '../words/machine-states.ts';
import { blackoutParts, partWords } from '../words/machines.ts';
import type { Span } from './span.ts';

export interface LanePart extends Span {
  part: BlackoutPart;
  /** The key under which the legend names it: its place among the parts, from 1. */
  key: number;
}

export interface MachineLane {
  name: string;
  brownout: Span | null;
  blackout: Span | null;
  parts: LanePart[];
  /** How long, or what became of it. */
  words: string;
  /** The parts with their lengths, for people who cannot see them. */
  spoken: string;
}

function partsOf({ parts }: MachineRun, startUs: number): LanePart[] {
  return parts
    .map(({ part, startedAtUs, durationUs }) => ({
      part,
      key: blackoutParts.indexOf(part) + 1,
      startUs: startUs + startedAtUs,
      endUs: startUs + startedAtUs + durationUs,
    }))
    .toSorted((one, other) => one.startUs - other.startUs);
}

function wordsOf({ stage, blackoutUs }: MachineRun): string {
  const length = blackoutUs === null ? '' : `blackout ${duration(blackoutUs)}`;
  if (stage === 'resumed' || stage === 'running') return length;
  const state = stageMarks[stage].word.toLowerCase();
  return length ? `${length}, ${state}` : state;
}

/** One lane a machine, in the agent's order. */
export function machineLanes(machines: readonly MachineRun[]): MachineLane[] {
  const startUs = firstSuspended(machines);
  return machines.map((machine) => {
    const parts = startUs === null ? [] : partsOf(machine, startUs);
    const lengths = parts.map((one) => `${partWords[one.part]} ${duration(one.endUs - one.startUs)}`);
    const brownout = machine.brownoutUs === null ? [] : [`brownout ${duration(machine.brownoutUs)}`];
    return {
      name: machine.name,
      brownout: brownoutSpan(machine),
      blackout: blackoutSpanOf(machine),
      parts,
      words: wordsOf(machine),
      spoken: [`${machine.name}: ${[...brownout, wordsOf(machine)].join(', ')}`, ...lengths].join(', '),
    };
  });
}

/** From the first suspended machine to the end of the last part; null if no part is known. */
export function partsSpan(lanes: readonly MachineLane[]): Span | null {
  const parts = lanes.flatMap((lane) => lane.parts);
  if (parts.length === 0) return null;
  return {
    startUs: Math.min(...parts.map(({ startUs }) => startUs)),
    endUs: Math.max(...parts.map(({ endUs }) => endUs)),
  };
}

/** The smallest span that holds all of these. */
export function around(spans: readonly (Span | null)[]): Span | null {
  const known = spans.filter((span) => span !== null);
  if (known.length === 0) return null;
  return {
    startUs: Math.min(...known.map(({ startUs }) => startUs)),
    endUs: Math.max(...known.map(({ endUs }) => endUs)),
  };
}

/** A stretch in which a machine's memory was already being preserved, and it still ran. */
function brownoutSpan({ brownoutUs, suspendedAtUs }: MachineRun): Span | null {
  if (brownoutUs === null || suspendedAtUs === null) return null;
  return { startUs: suspendedAtUs - brownoutUs, endUs: suspendedAtUs };
}

/** A stretch in which a machine did not run. */
function blackoutSpanOf({ blackoutUs, suspendedAtUs }: MachineRun): Span | null {
  if (blackoutUs === null || suspendedAtUs === null) return null;
  return { startUs: suspendedAtUs, endUs: suspendedAtUs + blackoutUs };
}
