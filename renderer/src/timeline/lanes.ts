// SPDX-License-Identifier: Apache-2.0
/**
 * What a timeline shows of the machines, before it is drawn. Each machine has a lane with its brownout, its blackout
 * and the parts of the blackout. What it waited for lies within them or behind them. Times are µs since the epoch, as
 * those of the phases.
 */
import type { BlackoutPart, MachineRun } from '@luo-console/agent/interface';
import { duration, preciseDuration } from '../format/quantity.ts';
import { firstSuspended } from '../state/machine-runs.ts';
import { stageMarks } from '../words/machine-states.ts';
import { blackoutParts, partWords } from '../words/machines.ts';
import { lane, waitRow } from './drawing.ts';
import type { Span } from './span.ts';

export interface LanePart extends Span {
  part: BlackoutPart;
  /** The key under which the legend names it: its place among the parts, from 1. */
  key: number;
}

export interface LaneWait extends Span {
  what: string;
  /** A letter under which the legend names it; null of the shorter ones. */
  key: string | null;
}

export interface MachineLane {
  name: string;
  brownout: Span | null;
  blackout: Span | null;
  parts: LanePart[];
  /** Those whose end is known. */
  waits: LaneWait[];
  /** How long, or what became of it. */
  words: string;
  /** The parts and the waits with their lengths, for people who cannot see them. */
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

/** As many waits have a letter: the longest ones. */
const letters = 'abcdefgh';

/** A name for the longest waits of all machines, by their order in time. */
function lettered(lanes: MachineLane[]): MachineLane[] {
  const all = lanes.flatMap(({ waits }) => waits);
  const longest = all
    .toSorted((one, other) => other.endUs - other.startUs - (one.endUs - one.startUs))
    .slice(0, letters.length);
  const named = all.filter((wait) => longest.includes(wait));
  const keyOf = (wait: LaneWait) => letters[named.indexOf(wait)] ?? null;
  return lanes.map((lane) => ({ ...lane, waits: lane.waits.map((wait) => ({ ...wait, key: keyOf(wait) })) }));
}

function waitsOf({ waits }: MachineRun, startUs: number): LaneWait[] {
  return (waits ?? []).flatMap(({ what, startedAtUs, durationUs }) => {
    if (durationUs === null) return [];
    const fromUs = startUs + startedAtUs;
    return [{ what, key: null, startUs: fromUs, endUs: fromUs + durationUs }];
  });
}

/** `waited 11.204 s for /srv/data to be mounted` */
export function waitWords({ what, durationUs }: { what: string; durationUs: number | null }): string {
  const length = durationUs === null ? 'for an unknown time' : preciseDuration(durationUs);
  return `waited ${length} for ${what}`;
}

/** One lane a machine, in the agent's order. */
export function machineLanes(machines: readonly MachineRun[]): MachineLane[] {
  const startUs = firstSuspended(machines);
  const lanes = machines.map((machine) => {
    const parts = startUs === null ? [] : partsOf(machine, startUs);
    const lengths = parts.map((one) => `${partWords[one.part]} ${duration(one.endUs - one.startUs)}`);
    const brownout = machine.brownoutUs === null ? [] : [`brownout ${duration(machine.brownoutUs)}`];
    const waited = (machine.waits ?? []).map(waitWords);
    return {
      name: machine.name,
      brownout: brownoutSpan(machine),
      blackout: blackoutSpanOf(machine),
      parts,
      waits: startUs === null ? [] : waitsOf(machine, startUs),
      words: wordsOf(machine),
      spoken: [`${machine.name}: ${[...brownout, wordsOf(machine)].join(', ')}`, ...lengths, ...waited].join(
        ', ',
      ),
    };
  });
  return lettered(lanes);
}

/** From the first suspended machine to the end of the last part or wait; null if neither is known. */
export function partsSpan(lanes: readonly MachineLane[]): Span | null {
  return around(lanes.flatMap(({ parts, waits }) => [...parts, ...waits]));
}

/** Lanes below each other, each with its place. A lane with waits is higher by the row in which they are. */
export function stacked(
  lanes: readonly MachineLane[],
  top: number,
): { placed: { lane: MachineLane; y: number }[]; bottom: number } {
  let y = top;
  const placed = lanes.map((one) => {
    const at = { lane: one, y };
    y += one.waits.length > 0 ? lane + waitRow : lane;
    return at;
  });
  return { placed, bottom: y };
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
