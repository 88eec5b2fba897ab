// SPDX-License-Identifier: Apache-2.0
/** Compiling the carrier: what kind of program it is, and that the same sources give the same program. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { buildCarrier } from '../src/package-agent/carrier.ts';

let scratch: string;
const main =
  '#include <assert.h>\n#include "a.h"\nint main(int n, char **w) { assert(n > SIZE && w); return 7; }\n';

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'luo-carrier-build-'));
  vi.stubEnv('XDG_CACHE_HOME', join(scratch, 'cache'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(scratch, { recursive: true });
});

/** Builds a program from these sources, in a directory and a cache of this name. */
async function build(name: string, sources: Readonly<Record<string, string>>): Promise<string> {
  const directory = join(scratch, name);
  mkdirSync(directory, { recursive: true });
  for (const [file, text] of Object.entries(sources)) writeFileSync(join(directory, file), text);
  vi.stubEnv('XDG_CACHE_HOME', join(scratch, `${name}-cache`));
  return await buildCarrier(directory);
}

describe('the carrier', () => {
  it('is a static program without symbols that names no directory it was built in', async () => {
    const program = await buildCarrier();
    const headers = execFileSync('readelf', ['--program-headers', '--sections', '--wide', program], {
      encoding: 'utf8',
    });
    expect(headers).toMatch(/There are \d+ program headers/);
    for (const absent of [/INTERP/, /DYNAMIC/, /\.symtab/, /\.debug/]) expect(headers).not.toMatch(absent);
    const contents = readFileSync(program, 'latin1');
    for (const place of [join(import.meta.dirname, '../..'), scratch]) expect(contents).not.toContain(place);
    expect(statSync(program).mode & 0o111).toBe(0o111);
  });

  it('is compiled once', async () => {
    const program = await buildCarrier();
    const { ino } = statSync(program);
    expect(await buildCarrier()).toBe(program);
    expect(statSync(program).ino).toBe(ino);
  });
});

describe('a program', () => {
  it('is the same wherever its sources are', async () => {
    const sources = { 'a.c': main, 'a.h': '#define SIZE 0\n' };
    const [one, other] = [await build('one', sources), await build('deeper-down', sources)];
    expect(one).not.toBe(other);
    expect(readFileSync(one).equals(readFileSync(other))).toBe(true);
    expect(() => execFileSync(one)).toThrow(expect.objectContaining({ status: 7 }));
  });

  it('is another one if a source or a header changes, and is not taken from the cache', async () => {
    const first = await build('one', { 'a.c': main, 'a.h': '#define SIZE 0\n' });
    const header = await build('one', { 'a.h': '#define SIZE 1\n' });
    const source = await build('one', { 'a.c': main.replace('return 7', 'return 8') });
    expect(new Set([first, header, source]).size).toBe(3);
    expect(() => execFileSync(header, { stdio: 'ignore' })).toThrow(
      expect.objectContaining({ signal: 'SIGABRT' }),
    );
    expect(() => execFileSync(source, ['x'])).toThrow(expect.objectContaining({ status: 8 }));
  });

  it('with a warning is refused, and nothing of it stays in the cache', async () => {
    const sources = { 'a.c': 'int main(void) { int x; return 0; }\n' };
    await expect(build('one', sources)).rejects.toThrow(/unused variable/);
    await expect(build('one', sources)).rejects.toThrow(/unused variable/);
  });
});
