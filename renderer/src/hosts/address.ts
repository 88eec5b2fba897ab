// SPDX-License-Identifier: Apache-2.0
/**
 * Checks a host's address while it is typed: `unix:/PATH` or `ssh://[USER@]HOST[:PORT]`. The main process checks
 * it again.
 */

import { localAddress } from '@luo-console/agent/places';

export const addressExamples = ['ssh://root@hv-01.example.net', 'ssh://hv-02:2222', localAddress];

/** What is wrong with an address, or null. */
export function addressError(address: string): string | null {
  const text = address.trim();
  if (text === '') return 'Needed: ssh://USER@HOST or unix:/PATH.';
  if (text.startsWith('unix:')) {
    return text.startsWith('unix:/') && text.length > 6
      ? null
      : `Write an absolute path after unix:, as in ${localAddress}.`;
  }
  if (!text.startsWith('ssh://')) return `“${text}” must begin with ssh:// or unix:/.`;
  const match = text.match(
    /^ssh:\/\/(?:[^@\s/]+@)?(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*))(?::(\d+))?$/,
  );
  if (!match) return 'Write [USER@]HOST[:PORT] after ssh://, and nothing else.';
  const port = match[1];
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65535))
    return `Port ${port} is not between 1 and 65535.`;
  return null;
}

/** A name for a host whose address is given: the host's part of it, or `This machine` for a local socket. */
export function suggestedName(address: string): string {
  const text = address.trim();
  if (text.startsWith('unix:/')) return 'This machine';
  return text.match(/^ssh:\/\/(?:[^@\s/]+@)?([^:/\s]+)/)?.[1]?.split('.')[0] ?? '';
}
