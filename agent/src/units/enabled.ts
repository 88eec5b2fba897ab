// SPDX-License-Identifier: Apache-2.0
/** What the service manager starts with the host. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Units that an administrator, or a package, has enabled: `systemctl enable` makes a link in a directory `TARGET.wants` or
 * `TARGET.requires`. Units that others pull in by name, or that are started by a socket, are not found.
 *
 * @param etc where configuration is, `/etc` on a host
 * @param wanted what their names, with the suffix, match
 * @returns each once, sorted
 */
export async function enabledUnits(etc: string, wanted: RegExp): Promise<string[]> {
  const directory = join(etc, 'systemd/system');
  const names = await readdir(directory).catch(() => []);
  const targets = names.filter((name) => /\.(wants|requires)$/.test(name));
  // What a link leads to need not be looked at: without it the unit cannot start either way.
  const units = await Promise.all(targets.map((target) => readdir(join(directory, target)).catch(() => [])));
  return [...new Set(units.flat().filter((unit) => wanted.test(unit)))].sort();
}

/** Whether one is enabled. @param unit with its suffix */
export async function isEnabled(etc: string, unit: string): Promise<boolean> {
  return (await enabledUnits(etc, /./)).includes(unit);
}
