// SPDX-License-Identifier: Apache-2.0
/** The mark of a journal entry: an act that was announced, how it ended, or a note. */

import CircleCheck from '@lucide/svelte/icons/circle-check';
import CircleX from '@lucide/svelte/icons/circle-x';
import Megaphone from '@lucide/svelte/icons/megaphone';
import StickyNote from '@lucide/svelte/icons/sticky-note';
import type { Entry } from '@luo-console/agent/interface';
import type { Mark } from '../words/states.ts';

const act: Mark = { word: 'Act', tone: 'neutral', icon: Megaphone };
const note: Mark = { word: 'Note', tone: 'neutral', icon: StickyNote };
const done: Mark = { word: 'Done', tone: 'good', icon: CircleCheck };
const failed: Mark = { word: 'Failed', tone: 'bad', icon: CircleX };

/** The mark of an entry. */
export function entryMark(entry: Pick<Entry, 'kind' | 'ok'>): Mark {
  if (entry.ok === false) return failed;
  if (entry.kind === 'act') return act;
  return entry.kind === 'note' ? note : done;
}
