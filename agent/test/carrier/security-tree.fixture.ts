// SPDX-License-Identifier: Apache-2.0
/**
 * A carrier in mounts of its own, where a made-up tree is in place of securityfs. What is loaded is what the tree says:
 * no kernel of a test has to have AppArmor.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const security = '/sys/kernel/security';

/** Whether mounts can be made here that nobody else sees. */
export const mayMount = ((): boolean => {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', security], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
})();

/** Makes a tree be that of a kernel with AppArmor. @param profiles that are loaded, as `NAME (MODE)` */
export function withAppArmor(tree: string, ...profiles: string[]): void {
  mkdirSync(join(tree, 'apparmor'));
  writeFileSync(join(tree, 'apparmor/profiles'), profiles.map((each) => `${each}\n`).join(''));
  // Ready to be read once there is something new, as the kernel's own file is.
  execFileSync('mkfifo', [join(tree, 'apparmor/revision')]);
}

/** The command that mounts a tree as securityfs. */
export const mounting = (tree: string): string[] => ['mount', '--bind', '--', tree, security];

/** Where `setApart` makes the program. */
export const apartIn = (tree: string): string => join(tree, 'carrier');

/**
 * Makes a program that executes the carrier in mounts of its own.
 *
 * @param mounted whether the tree is there from the beginning
 */
export function setApart(tree: string, carrier: string, mounted: boolean): void {
  const then = mounted ? `${mounting(tree).join(' ')} && ` : '';
  const script = `#!/bin/sh\nexec unshare --mount sh -c '${then}exec ${carrier} "$@"' carrier "$@"\n`;
  writeFileSync(apartIn(tree), script);
  chmodSync(apartIn(tree), 0o755);
}
