// SPDX-License-Identifier: Apache-2.0
/** The views of the console, in the order of the rail. The page's address names the one shown, after `#`. */
import ArrowBigUpDash from '@lucide/svelte/icons/arrow-big-up-dash';
import BookOpenText from '@lucide/svelte/icons/book-open-text';
import Boxes from '@lucide/svelte/icons/boxes';
import MonitorPlay from '@lucide/svelte/icons/monitor-play';
import Server from '@lucide/svelte/icons/server';
import SquareTerminal from '@lucide/svelte/icons/square-terminal';

export type ViewId = 'hosts' | 'sessions' | 'machines' | 'live-update' | 'history' | 'terminal';

export interface View {
  id: ViewId;
  name: string;
  /** The second key after `g`. */
  key: string;
  icon: typeof Server;
}

export const views: readonly View[] = [
  { id: 'hosts', name: 'Hosts', key: 'h', icon: Server },
  { id: 'sessions', name: 'Sessions', key: 's', icon: Boxes },
  { id: 'machines', name: 'Machines', key: 'm', icon: MonitorPlay },
  { id: 'live-update', name: 'Live update', key: 'l', icon: ArrowBigUpDash },
  { id: 'history', name: 'History', key: 'i', icon: BookOpenText },
  { id: 'terminal', name: 'Terminal', key: 't', icon: SquareTerminal },
];

/** The view an address ends in, or Hosts. */
export function viewOf(hash: string): ViewId {
  return views.find(({ id }) => `#/${id}` === hash)?.id ?? 'hosts';
}
