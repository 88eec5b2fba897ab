// SPDX-License-Identifier: Apache-2.0
/**
 * The mark of every state the console shows: a word, an icon and a tone. They stand in tables so that a state
 * looks and reads the same everywhere, and is never told by its colour alone.
 */
import ArrowDownLeft from '@lucide/svelte/icons/arrow-down-left';
import ArrowUpRight from '@lucide/svelte/icons/arrow-up-right';
import Ban from '@lucide/svelte/icons/ban';
import CircleAlert from '@lucide/svelte/icons/circle-alert';
import CircleCheck from '@lucide/svelte/icons/circle-check';
import CircleDashed from '@lucide/svelte/icons/circle-dashed';
import CircleHelp from '@lucide/svelte/icons/circle-question-mark';
import CircleX from '@lucide/svelte/icons/circle-x';
import type Flag from '@lucide/svelte/icons/flag';
import Hourglass from '@lucide/svelte/icons/hourglass';
import LoaderCircle from '@lucide/svelte/icons/loader-circle';
import Plug from '@lucide/svelte/icons/plug';
import Snowflake from '@lucide/svelte/icons/snowflake';
import TriangleAlert from '@lucide/svelte/icons/triangle-alert';
import Undo2 from '@lucide/svelte/icons/undo-2';
import Unplug from '@lucide/svelte/icons/unplug';
import type { CheckVerdict, Direction, KernelVerdict, Outcome, Verdict } from '@luo-console/agent/interface';
import type { ConnectionState } from '@luo-console/electron/interface';

export type Tone = 'good' | 'warn' | 'bad' | 'busy' | 'neutral';

export interface Mark {
  word: string;
  tone: Tone;
  icon: typeof Flag;
  turning?: boolean;
}

/** A state that does not turn. */
export function mark(word: string, tone: Tone, icon: typeof Flag): Mark {
  return { word, tone, icon };
}

export const connectionMarks: Record<ConnectionState, Mark> = {
  disconnected: mark('Disconnected', 'neutral', Unplug),
  connecting: { ...mark('Connecting', 'busy', LoaderCircle), turning: true },
  connected: mark('Connected', 'good', Plug),
  away: mark('Away', 'warn', Hourglass),
  failed: mark('Failed', 'bad', TriangleAlert),
};

export const outcomeMarks: Record<Outcome, Mark> = {
  updated: mark('Updated', 'good', CircleCheck),
  cold_boot: mark('Cold boot', 'bad', Snowflake),
  returned: mark('Returned', 'warn', Undo2),
  aborted: mark('Aborted', 'neutral', Ban),
  unknown: mark('Unknown', 'warn', CircleHelp),
};

export const underWay: Mark = { ...mark('Under way', 'busy', LoaderCircle), turning: true };

export const directionMarks: Record<Direction, Mark> = {
  outgoing: mark('Outgoing', 'neutral', ArrowUpRight),
  incoming: mark('Incoming', 'busy', ArrowDownLeft),
};

export const verdictMarks: Record<Verdict, Mark> = {
  unchecked: mark('Unchecked', 'neutral', CircleDashed),
  match: mark('Match', 'good', CircleCheck),
  differs: mark('Differs', 'bad', CircleX),
  missing: mark('Missing', 'bad', CircleAlert),
};

export const kernelMarks: Record<KernelVerdict, Mark> = {
  compatible: mark('Compatible', 'good', CircleCheck),
  incompatible: mark('Incompatible', 'bad', CircleX),
  no_live_update: mark('No live update', 'bad', Ban),
  unreadable: mark('Unreadable', 'warn', CircleHelp),
};

export const checkMarks: Record<CheckVerdict, Mark> = {
  pass: mark('Pass', 'good', CircleCheck),
  warn: mark('Warning', 'warn', TriangleAlert),
  fail: mark('Fail', 'bad', CircleX),
};
