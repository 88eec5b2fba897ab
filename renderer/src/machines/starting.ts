// SPDX-License-Identifier: Apache-2.0
// How a machine stands that is being started from its definition.
import CircleX from '@lucide/svelte/icons/circle-x';
import LoaderCircle from '@lucide/svelte/icons/loader-circle';
import { type Mark, mark } from '../format/states.ts';
import type { Starting } from './machines.svelte.ts';

const underWay: Mark = { ...mark('Starting', 'busy', LoaderCircle), turning: true };
const failed: Mark = mark('Not started', 'bad', CircleX);

/** Under way, or failed. */
export function startingMark({ failure }: Starting): Mark {
  return failure ? failed : underWay;
}
