// SPDX-License-Identifier: Apache-2.0
/**
 * The official Electron: the release server's archive, checked against the checksum that comes with the electron npm
 * package (whose own integrity is in package-lock.json). Labs often cannot reach that server, and a connection that is
 * silently dropped must not hold up set-up. So the server has a few seconds to begin to answer.
 */

import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { inRepository } from '../places.ts';

const releasesUrl = 'https://github.com/electron/electron/releases/download/';
const answerWithinMs = 5000;

/** The release server did not answer, or does not have the archive. */
export class ReleaseServerUnreachable extends Error {
  constructor(url: string, why: string) {
    super(`${url}: ${why}`);
    this.name = 'ReleaseServerUnreachable';
  }
}

export interface Release {
  readonly archive: string;
  readonly url: string;
  /** SHA-256 in hexadecimal. */
  readonly checksum: string;
}

/**
 * The archive for this platform.
 *
 * @param version of Electron
 * @param env ELECTRON_MIRROR names another server, as it does for the electron package itself
 */
export async function officialRelease(version: string, env = process.env): Promise<Release> {
  const archive = `electron-v${version}-linux-x64.zip`;
  const known = inRepository('node_modules/electron/checksums.json');
  const checksum = JSON.parse(await readFile(known, 'utf8'))[archive];
  if (typeof checksum !== 'string') throw new Error(`${known}: no checksum of ${archive}`);
  return { archive, url: `${env['ELECTRON_MIRROR'] || releasesUrl}v${version}/${archive}`, checksum };
}

async function answerOf(url: string): Promise<AsyncIterable<Uint8Array>> {
  const slow = new AbortController();
  const timer = setTimeout(() => slow.abort(), answerWithinMs);
  try {
    const response = await fetch(url, { signal: slow.signal });
    if (response.ok && response.body) return response.body;
    throw new ReleaseServerUnreachable(url, `HTTP status ${response.status}`);
  } catch (error) {
    if (error instanceof ReleaseServerUnreachable) throw error;
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const why = slow.signal.aborted ? `no answer within ${answerWithinMs / 1000} s` : String(cause);
    throw new ReleaseServerUnreachable(url, why);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Downloads and unpacks the official distribution.
 *
 * @param release what to download
 * @param into empty directory
 * @param onProgress called with the bytes that have come
 * @throws ReleaseServerUnreachable, and an ordinary Error if what came is not what the checksum says
 */
export async function downloadOfficial(
  release: Release,
  into: string,
  onProgress: (bytes: number) => void,
): Promise<void> {
  const answer = await answerOf(release.url);
  const archive = join(into, release.archive);
  const hash = createHash('sha256');
  let bytes = 0;
  const watched = async function* (chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      bytes += chunk.length;
      onProgress(bytes);
      yield chunk;
    }
  };
  await pipeline(Readable.from(watched(answer)), createWriteStream(archive));
  const actual = hash.digest('hex');
  if (actual !== release.checksum) {
    throw new Error(`${release.url}: SHA-256 is ${actual}, expected ${release.checksum}`);
  }
  await unzip(archive, into);
  await rm(archive);
}

/** Unpacks with the same code as the electron package, which knows about links and modes. */
async function unzip(archive: string, directory: string): Promise<void> {
  const require = createRequire(inRepository('node_modules/electron/package.json'));
  const extractor = pathToFileURL(require.resolve('@electron-internal/extract-zip'));
  const { extract } = (await import(extractor.href)) as {
    extract(archive: string, options: { dir: string }): Promise<void>;
  };
  await extract(archive, { dir: directory });
}
