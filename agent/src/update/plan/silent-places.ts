// SPDX-License-Identifier: Apache-2.0
/**
 * Whether the file systems answer that are looked at before an update begins. A look that is never answered keeps one of
 * libuv's four threads, and the checks look at many files at once. So each place is asked once before, one after the
 * other, and not again before it has answered.
 */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { HostPaths } from '../../host/paths.ts';
import { NotEnded, type Unended } from '../../host/unended.ts';

/** How long one may take, in ms. */
export const placeMs = 5000;

/** A place that does not answer. */
export interface SilentPlace {
  readonly path: string;
  /** Says so, without the path. */
  readonly reason: string;
}

/** What is looked at, of the whole context. */
export interface Places {
  readonly paths: Pick<HostPaths, 'root' | 'etc' | 'boot' | 'carrier'>;
  readonly stateDirectory: string;
  readonly unended: Unended;
}

/**
 * Asks the file systems that the checks look at.
 *
 * @param files others that will be looked at
 * @returns the first place that does not answer; null if all do
 */
export async function silentPlace(
  { paths, stateDirectory, unended }: Places,
  files: readonly string[],
): Promise<SilentPlace | null> {
  const { root, etc, boot, carrier } = paths;
  for (const path of new Set([root, etc, stateDirectory, dirname(carrier), boot, ...files])) {
    try {
      await unended.waitForOne(`looking at ${path}`, () => stat(path), { limitMs: placeMs });
    } catch (error) {
      // What is not there is told by whoever needs it.
      if (error instanceof NotEnded)
        return { path, reason: `its file system did not answer within ${placeMs / 1000} s` };
    }
  }
  return null;
}
