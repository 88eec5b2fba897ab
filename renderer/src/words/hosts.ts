// SPDX-License-Identifier: Apache-2.0
/** The texts of the hosts: adding, editing and removing one. */

export const hostWords = {
  needName: 'Needed: a name for this host in the console.',
  nameHint: 'The name the console shows. You type it to confirm a live update.',
  notAbsolute: (path: string) => `“${path}” is not an absolute path.`,
  sshHint: 'An absolute path. Left empty, ssh uses its own configuration, keys and known hosts.',
  serialHint: 'The absolute path of a Unix socket on this machine that carries the host’s serial console.',
  notChanged: 'The host could not be changed',
  notAdded: 'The host could not be added',
  notConnected: (name: string) => `${name} could not be connected`,
  notRemoved: (name: string) => `${name} could not be removed`,
  forgets: (name: string) => `The console forgets ${name} and its replica.`,
  untouched: 'Nothing changes on the host: its agent, its sessions and its journal stay as they are.',
} as const;
