// SPDX-License-Identifier: Apache-2.0
/** The texts of the sessions: creating and closing one, preserving in it, and removing from it. */
import { counted, size } from '../format/quantity.ts';

/** `3 descriptors, 8.5 GiB`. */
export function contents(descriptors: number, bytes: number): string {
  return `${counted(descriptors, 'descriptor')}, ${size(bytes)}`;
}

export const createWords = {
  /** @param bytes of the name so far, in UTF-8 */
  hint: (bytes: number) =>
    `${bytes} of 63 bytes. It identifies the session in the next kernel and cannot be changed.`,
  failed: 'The session could not be created',
} as const;

export const closeWords = {
  empty: 'The session is empty. Closing it loses nothing.',
  unpreserves: (what: string) => `${what} will be unpreserved`,
  outgoing: (name: string) =>
    `Everything in ${name} is unpreserved, newest first, and will not survive the next update.`,
  outgoingLoss:
    'Memory that a process still has open stays with that process. Anything held only by this session is lost.',
  frees: 'Descriptors that were not retrieved are freed',
  incoming: (name: string, what: string) => `${name} holds ${what} from the previous kernel.`,
  incomingLoss: 'Closing it finishes the session: every descriptor that was not retrieved is lost.',
  failed: 'The session could not be closed',
} as const;

export const removeWords = {
  loss: 'will be unpreserved and will not survive the next update. Its contents are lost unless a process still has it open.',
  rebuilt: (others: number) =>
    `Linux 7.3 cannot take one descriptor out of a session, so the agent rebuilds it. It closes the session and creates it again with the ${counted(others, 'remaining descriptor')}, under the same tokens.`,
  meanwhile: 'Until that is done they are not preserved.',
  done: 'The session was rebuilt without it.',
  failed: 'The descriptor could not be removed',
} as const;

export const preserveWords = {
  pathHint:
    'The kernel preserves no file on disk. The agent copies it into memory and preserves the copy. Later changes to the file are not in it.',
  needPath: 'Needed: an absolute path on the host.',
  labelHint: 'A name for people to read.',
  tokenHint: 'Hexadecimal, as in 0x2a. Left empty, the next free token is taken.',
  tokensHint: 'Several descriptors take the next free tokens.',
  copying: 'Preserving a copy',
  /** @param at which of them, from 1 */
  doing: (at: number, of: number) => `Preserving ${at} of ${of}`,
  failed: (done: number) => (done > 0 ? `${done} preserved, then it failed` : 'Nothing was preserved'),
} as const;
