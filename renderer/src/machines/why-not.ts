// SPDX-License-Identifier: Apache-2.0
// Why a machine cannot be adopted: the words that stand beside a button that is off.
import type { Machine } from '@luo-console/agent/interface';
import type { Host } from '@luo-console/electron/bridge';
import { whyNotChange } from '../state/focus.ts';
import { fullSentence } from '../words/sentence.ts';

/** Null if it can be. */
export function whyNotAdopt(host: Host | null, machine: Machine): string | null {
  const off = whyNotChange(host);
  if (off) return off;
  if (machine.state === 'gone') return 'Its VMM has ended.';
  return machine.way === 'none' ? `It cannot come along. ${fullSentence(machine.wayReason)}` : null;
}
