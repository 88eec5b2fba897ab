// SPDX-License-Identifier: Apache-2.0
/**
 * Names of users and members of groups, from `/etc/passwd` and `/etc/group`. Accounts kept elsewhere (in LDAP, for
 * example) show as numbers. Their groups still count: the kernel itself says which groups a peer is in.
 */
import { readFileSync } from 'node:fs';
import type { HostPaths } from './paths.ts';

export class Accounts {
  readonly #paths: HostPaths;

  constructor(paths: HostPaths) {
    this.#paths = paths;
  }

  /** A user's name, or the number as text. */
  userName(uid: number): string {
    for (const fields of this.#read('passwd')) {
      if (fields[2] === String(uid) && fields[0]) return fields[0];
    }
    return String(uid);
  }

  /** The numbers of a user and of their first group, or null if there is no user of that name. */
  user(name: string): { readonly uid: number; readonly gid: number } | null {
    for (const [called, , uid = '', gid = ''] of this.#read('passwd')) {
      if (called === name && /^\d+$/.test(uid) && /^\d+$/.test(gid))
        return { uid: Number(uid), gid: Number(gid) };
    }
    return null;
  }

  /** The number of a group, or null if no group has that name. */
  groupId(name: string): number | null {
    for (const fields of this.#read('group')) {
      if (fields[0] === name && fields[2] && /^\d+$/.test(fields[2])) return Number(fields[2]);
    }
    return null;
  }

  /** Small files, and read once for a connection. */
  #read(file: 'passwd' | 'group'): string[][] {
    try {
      const text = readFileSync(`${this.#paths.etc}/${file}`, 'utf8');
      return text.split('\n').map((line) => line.split(':'));
    } catch {
      return [];
    }
  }
}
