// SPDX-License-Identifier: Apache-2.0
/**
 * Names of users and members of groups, from `/etc/passwd` and `/etc/group`. Accounts kept elsewhere (in LDAP, for
 * example) show as numbers. Their groups still count: the kernel itself says which groups a peer is in.
 */
import { readFileSync, statSync } from 'node:fs';
import type { HostPaths } from './paths.ts';

/** A file as it was read. */
interface Known {
  /** What tells it from a changed one. */
  readonly version: string;
  readonly lines: readonly string[][];
}

export class Accounts {
  readonly #paths: HostPaths;
  readonly #known = new Map<'passwd' | 'group', Known>();

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

  /** Asked for each connection, so a file is read again only when it has changed. */
  #read(file: 'passwd' | 'group'): readonly string[][] {
    const path = `${this.#paths.etc}/${file}`;
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
      const version = [dev, ino, size, mtimeNs, ctimeNs].join(' ');
      const known = this.#known.get(file);
      if (known?.version === version) return known.lines;
      const lines = readFileSync(path, 'utf8')
        .split('\n')
        .map((line) => line.split(':'));
      this.#known.set(file, { version, lines });
      return lines;
    } catch {
      return [];
    }
  }
}
