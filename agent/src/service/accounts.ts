// SPDX-License-Identifier: Apache-2.0
/**
 * Names of users and members of groups, from `/etc/passwd` and `/etc/group`. Accounts that live elsewhere
 * (LDAP and the like) show as numbers; their groups still count, because the kernel itself says which groups a
 * peer is in.
 */
import { readFile } from 'node:fs/promises';
import type { HostPaths } from '../host-paths.ts';

export class Accounts {
  readonly #paths: HostPaths;

  constructor(paths: HostPaths) {
    this.#paths = paths;
  }

  /** A user's name, or the number as text. */
  async userName(uid: number): Promise<string> {
    for (const fields of await this.#read('passwd')) {
      if (fields[2] === String(uid) && fields[0]) return fields[0];
    }
    return String(uid);
  }

  /** The number of a group, or null if there is none of that name. */
  async groupId(name: string): Promise<number | null> {
    for (const fields of await this.#read('group')) {
      if (fields[0] === name && fields[2] && /^\d+$/.test(fields[2])) return Number(fields[2]);
    }
    return null;
  }

  async #read(file: 'passwd' | 'group'): Promise<string[][]> {
    const text = await readFile(`${this.#paths.etc}/${file}`, 'utf8').catch(() => '');
    return text.split('\n').map((line) => line.split(':'));
  }
}
