// SPDX-License-Identifier: Apache-2.0
/** Why a machine cannot be adopted, for the button that is off. */
import type { Machine } from '@luo-console/agent/interface';
import type { Host } from '@luo-console/electron/interface';
import { whyNotChange } from '../state/focus.ts';
import { fullSentence } from '../words/sentence.ts';

/** Null if it can be. */
export function whyNotAdopt(host: Host | null, machine: Machine): string | null {
  const off = whyNotChange(host);
  if (off) return off;
  if (machine.state === 'gone') return 'Its VMM has ended.';
  return machine.way === 'none' ? `An update cannot carry it over. ${fullSentence(machine.wayReason)}` : null;
}
