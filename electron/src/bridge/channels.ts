// SPDX-License-Identifier: Apache-2.0
/**
 * Names of the IPC channels and the shape of what travels on them. A call is one `invoke`. A stream is
 * `open` from the page, `reply` to it for each reply, `acknowledge` back for each one taken, and `end`;
 * the page may `cancel`. Without acknowledgements a terminal that prints without pause would fill the
 * page's queue, so the main process keeps only `repliesInFlight` on the way.
 */
import type { BridgeFailure } from '../interface/window.ts';

export const channels = {
  call: 'luo:call',
  open: 'luo:stream-open',
  cancel: 'luo:stream-cancel',
  acknowledge: 'luo:stream-acknowledge',
  reply: 'luo:stream-reply',
  end: 'luo:stream-end',
} as const;

/** Replies of one stream that may be under way to the page before it has acknowledged one. */
export const repliesInFlight = 8;

/** The answer to a call: exactly one of the two is there. */
export type CallAnswer =
  | { readonly reply: Record<string, unknown>; readonly failure?: never }
  | { readonly failure: BridgeFailure; readonly reply?: never };
