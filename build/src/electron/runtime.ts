// SPDX-License-Identifier: Apache-2.0
/**
 * The Electron to run: the official one if it can be had, a carried one otherwise, and always said
 * which. Both are kept in the cache under a hash of what they were checked against.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cached, cacheRoot, hashOf } from '../../bootstrap/cache.mjs';
import type { Detail } from '../step.ts';
import { carriedHashes, carriedVersion, unpackCarried } from './carriers.ts';
import { downloadOfficial, officialRelease, ReleaseServerUnreachable } from './download.ts';

export type Origin = 'official' | 'carried';

export interface ElectronRuntime {
  /** Directory of the distribution: what ELECTRON_OVERRIDE_DIST_PATH wants. */
  readonly directory: string;
  readonly executable: string;
  readonly version: string;
  readonly origin: Origin;
}

async function entryOf(origin: Origin): Promise<string> {
  const { checksum } = await officialRelease(carriedVersion);
  const hash = hashOf(origin === 'official' ? [checksum] : Object.values(carriedHashes));
  return `electron-${carriedVersion}-${origin}-${hash}`;
}

async function find(origin: Origin): Promise<ElectronRuntime | undefined> {
  const directory = join(cacheRoot(), await entryOf(origin));
  if (!existsSync(directory)) return undefined;
  return { directory, executable: join(directory, 'electron'), version: carriedVersion, origin };
}

/** The Electron in the cache, the official one if both are there. */
export async function findElectron(): Promise<ElectronRuntime | undefined> {
  return (await find('official')) ?? (await find('carried'));
}

/** The official Electron, downloaded if need be; the only one that may be shipped. */
export async function officialElectron(detail: Detail): Promise<ElectronRuntime> {
  const release = await officialRelease(carriedVersion);
  await cached(await entryOf('official'), (into) =>
    downloadOfficial(release, into, (bytes) => detail(`${(bytes / 1e6).toFixed(0)} MB`)),
  );
  const runtime = await find('official');
  if (runtime === undefined) throw new Error(`${release.url}: downloaded, but not in the cache`);
  return runtime;
}

/**
 * Electron for development and tests.
 *
 * @param detail told what is being done
 */
export async function obtainElectron(detail: Detail): Promise<ElectronRuntime> {
  const there = await findElectron();
  if (there) return there;
  try {
    return await officialElectron(detail);
  } catch (error) {
    if (!(error instanceof ReleaseServerUnreachable)) throw error;
    detail(error.message);
  }
  await cached(await entryOf('carried'), (into) => unpackCarried(into, detail));
  const runtime = await find('carried');
  if (runtime === undefined) throw new Error(`Electron ${carriedVersion}: unpacked, but not in the cache`);
  return runtime;
}

/** Which Electron is in use, in words for the terminal. */
export function describeElectron({ version, origin }: ElectronRuntime): string {
  return origin === 'official'
    ? `Electron ${version}, the official release`
    : `Electron ${version}, carried in an npm package because the release server could not be reached; ` +
        'for development and tests only';
}
