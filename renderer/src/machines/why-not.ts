// SPDX-License-Identifier: Apache-2.0
/** Why a machine cannot be adopted, tried again or started, for the button that is off. */
import type { HeldMachine, Machine, MachineDefinition } from '@luo-console/agent/interface';
import type { Host } from '@luo-console/electron/interface';
import { whyNotChange } from '../state/focus.ts';
import { heldWords } from '../words/machines.ts';
import { fullSentence } from '../words/sentence.ts';

/** Null if it can be adopted. */
export function whyNotAdopt(host: Host | null, machine: Machine): string | null {
  const off = whyNotChange(host);
  if (off) return off;
  if (machine.state === 'gone') return 'Its VMM has ended.';
  return machine.way === 'none' ? `An update cannot carry it over. ${fullSentence(machine.wayReason)}` : null;
}

/** Null if it can be tried again. */
export function whyNotRetry(host: Host | null, { problem }: HeldMachine): string | null {
  const off = whyNotChange(host);
  if (off) return off;
  return problem === null ? null : `${heldWords.unusable}. ${fullSentence(problem)}`;
}

/**
 * Null if it can be started. A held machine of that name comes first: one that starts from its definition instead would
 * change the disks that the held one needs.
 */
export function whyNotStart(
  host: Host | null,
  held: readonly HeldMachine[],
  { name, problem }: MachineDefinition,
): string | null {
  const off = whyNotChange(host);
  if (off) return off;
  if (held.some((machine) => machine.name === name)) return heldWords.first(name);
  return problem === null ? null : 'Its definition cannot be used.';
}
