// SPDX-License-Identifier: Apache-2.0
/** Whether the service manager starts a unit with the host. */
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Whether an administrator, or a package, has enabled a unit: `systemctl enable` makes a link in a directory
 * `TARGET.wants` or `TARGET.requires`. Units that others pull in by name, or that are started by a socket, are not
 * found.
 *
 * @param etc where configuration is, `/etc` on a host
 * @param unit with its suffix
 */
export async function isEnabled(etc: string, unit: string): Promise<boolean> {
  const directory = join(etc, 'systemd/system');
  const names = await readdir(directory).catch(() => []);
  const targets = names.filter((name) => /\.(wants|requires)$/.test(name));
  // What the link leads to need not be looked at: without it the unit cannot start either way.
  const found = await Promise.all(
    targets.map((target) =>
      access(join(directory, target, unit)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true);
}
