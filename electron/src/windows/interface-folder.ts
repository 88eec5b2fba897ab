// SPDX-License-Identifier: Apache-2.0
/** Where the built interface is: beside the bundle in a package, in its own workspace in the source tree. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The folder with the interface's `index.html`.
 *
 * @param bundleFolder where the bundled main process is
 * @throws Error naming every place looked at, if it is in none
 */
export function findInterface(bundleFolder: string): string {
  const places = [join(bundleFolder, 'renderer'), join(bundleFolder, '../../renderer/dist')];
  const found = places.find((place) => existsSync(join(place, 'index.html')));
  if (found !== undefined) return found;
  throw new Error(
    `The interface is not built: expected index.html in ${places.join(' or ')} (npm run setup builds it).`,
  );
}
