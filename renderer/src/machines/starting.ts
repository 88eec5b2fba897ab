// SPDX-License-Identifier: Apache-2.0
/** The mark of a machine that is being started from its definition. */
import CircleX from '@lucide/svelte/icons/circle-x';
import LoaderCircle from '@lucide/svelte/icons/loader-circle';
import type { Starting } from '../state/machines.svelte.ts';
import { type Mark, mark } from '../words/states.ts';

const underWay: Mark = { ...mark('Starting', 'busy', LoaderCircle), turning: true };
const failed: Mark = mark('Not started', 'bad', CircleX);

/** Under way, or failed. */
export function startingMark({ failure }: Starting): Mark {
  return failure ? failed : underWay;
}
