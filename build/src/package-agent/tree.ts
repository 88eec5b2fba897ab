// SPDX-License-Identifier: Apache-2.0
/**
 * The contents of the package: a list of files with their contents and modes. It can be hashed and looked at without
 * building a package. Nothing depends on this machine's umask, clock or user.
 */

import { chmod, copyFile, lutimes, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { hashOf } from '../../bootstrap/cache.mjs';

/** One file of the package. */
export interface PackageFile {
  /** Path from the root of the package, without a leading slash. */
  readonly path: string;
  readonly mode: 0o644 | 0o755;
  /** Contents, or the path of a file to copy together with what identifies its contents. */
  readonly contents: Buffer | string | { readonly copyOf: string; readonly identity: string };
}

/** Every file's time in the package, in seconds since the epoch: the beginning of 2026. */
export const packageTime = 1_767_225_600;

/**
 * The files under a directory, in alphabetical order.
 *
 * @param directory
 * @param mode of each, by its path
 */
export async function filesUnder(
  directory: string,
  mode: (path: string) => PackageFile['mode'],
): Promise<PackageFile[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(
    paths.sort().map(async (file) => {
      const path = relative(directory, file);
      return { path, mode: mode(path), contents: await readFile(file) };
    }),
  );
}

/** A hash over paths, modes and contents. */
export function hashOfFiles(files: readonly PackageFile[], recipe: string): string {
  const parts: (string | Buffer)[] = [recipe];
  for (const { path, mode, contents } of files) {
    parts.push(path, String(mode));
    parts.push(typeof contents === 'string' || Buffer.isBuffer(contents) ? contents : contents.identity);
  }
  return hashOf(parts);
}

/** Writes files below a directory, all with the same time and with exactly their modes. */
export async function writeTree(directory: string, files: readonly PackageFile[]): Promise<void> {
  for (const { path, mode, contents } of files) {
    const file = join(directory, path);
    await mkdir(dirname(file), { recursive: true });
    if (typeof contents === 'string' || Buffer.isBuffer(contents)) await writeFile(file, contents);
    else await copyFile(contents.copyOf, file);
    await chmod(file, mode);
    await utimes(file, packageTime, packageTime);
  }
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
  }
  const directories = (await readdir(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
  for (const path of [...directories, directory]) await lutimes(path, packageTime, packageTime);
  await chmod(directory, 0o755);
}
