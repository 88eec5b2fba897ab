// SPDX-License-Identifier: Apache-2.0
/** The Node runtime and the cache: the one that is pinned, made once, and never half made. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cached, cacheRoot, hashOf } from '../bootstrap/cache.mjs';
import { checkIntegrity, nodeEntry } from '../bootstrap/node-runtime.mjs';
import { npmCommand, runProgram } from '../bootstrap/programs.mjs';
import { formatElapsed } from '../bootstrap/terminal.mjs';
import { lockMatches } from '../src/setup/npm-packages.ts';

let scratch: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'luo-build-test-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(scratch, { recursive: true });
});

describe('the Node runtime', () => {
  it('is kept under the first letters and digits of its integrity', () => {
    expect(nodeEntry('24.21.0', 'sha512-3nULs/zZ5+X0fciYpG0t6==')).toBe('node-24.21.0-3nulszz5x0fc');
  });

  it('is refused if it is not the one pinned', async () => {
    const file = join(scratch, 'node.tgz');
    await writeFile(file, 'something else');
    const integrity = `sha512-${'A'.repeat(86)}==`;
    await expect(checkIntegrity(file, integrity)).rejects.toThrow(
      /node\.tgz: integrity is sha512-.+, expected/,
    );
  });
});

describe('the cache', () => {
  beforeEach(() => vi.stubEnv('XDG_CACHE_HOME', scratch));

  it('is where XDG says', () => {
    expect(cacheRoot({ XDG_CACHE_HOME: '/x', HOME: '/h' })).toBe('/x/luo-console');
    expect(cacheRoot({ HOME: '/h' })).toBe('/h/.cache/luo-console');
  });

  it('makes a thing once', async () => {
    let times = 0;
    const make = async (into: string): Promise<void> => {
      times++;
      await writeFile(join(into, 'thing'), 'whole');
    };
    const entry = await cached('thing-0', make);
    expect(await cached('thing-0', make)).toBe(entry);
    expect(times).toBe(1);
    expect(await readFile(join(entry, 'thing'), 'utf8')).toBe('whole');
  });

  it('keeps no half thing', async () => {
    const broken = cached('thing-1', async (into) => {
      await writeFile(join(into, 'half'), '');
      throw new Error('interrupted');
    });
    await expect(broken).rejects.toThrow('interrupted');
    expect(await readdir(cacheRoot())).toEqual([]);
  });

  it('removes what an attempt that was killed has left', async () => {
    // No process has this number: it is above the highest there can be.
    await mkdir(join(cacheRoot(), 'thing-2.partial-99999999'), { recursive: true });
    await cached('thing-2', async () => {});
    expect(await readdir(cacheRoot())).toEqual(['thing-2']);
  });

  it('goes on from an interrupt in the middle of making a thing', async () => {
    const module = JSON.stringify(new URL('../bootstrap/cache.mjs', import.meta.url).href);
    const program = `import { writeFileSync } from 'node:fs';
      import { cached } from ${module};
      setInterval(() => {}, 60_000);
      await cached('thing-3', async (into) => {
        writeFileSync(into + '/half', '');
        console.log('half');
        await new Promise(() => {});
      });`;
    const maker = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(maker.stdout, 'data');
    const left = await readdir(cacheRoot());
    expect(left).toEqual([`thing-3.partial-${maker.pid}`]);
    maker.kill('SIGINT');
    expect(await once(maker, 'exit')).toEqual([null, 'SIGINT']);
    const entry = await cached('thing-3', (into) => writeFile(join(into, 'whole'), ''));
    expect(await readdir(entry)).toEqual(['whole']);
    expect(await readdir(cacheRoot())).toEqual(['thing-3']);
  });

  it('keeps the most recently used of a kind, and nothing older', async () => {
    for (const name of ['thing-00000000000a', 'thing-00000000000b', 'other-00000000000c']) {
      await cached(name, async () => {});
    }
    await utimes(join(cacheRoot(), 'thing-00000000000a'), 1, 1);
    await utimes(join(cacheRoot(), 'thing-00000000000b'), 2, 2);
    // Looking at one makes it the latest.
    await cached('thing-00000000000a', async () => {}, 2);
    await cached('thing-00000000000d', async () => {}, 2);
    expect((await readdir(cacheRoot())).sort()).toEqual([
      'other-00000000000c',
      'thing-00000000000a',
      'thing-00000000000d',
    ]);
  });

  it('is removed whole, and it is said what was', async () => {
    await cached('thing-4', (into) => writeFile(join(into, 'large'), Buffer.alloc(2_000_000, 1)));
    const bootstrap = fileURLToPath(new URL('../bootstrap.mjs', import.meta.url));
    const first = await runProgram(process.execPath, [bootstrap, 'clean-cache']);
    expect(first).toMatch(new RegExp(`^removed ${join(cacheRoot(), 'thing-4')}  2\\.\\d MB\\n$`));
    expect(await readdir(scratch)).toEqual([]);
    const second = await runProgram(process.execPath, [bootstrap, 'clean-cache']);
    expect(second).toBe(`${cacheRoot()}: nothing there\n`);
  });

  it('has keys that tell where one input ends', () => {
    expect(hashOf(['ab', 'c'])).toMatch(/^[0-9a-f]{12}$/);
    expect(hashOf(['ab', 'c'])).not.toBe(hashOf(['a', 'bc']));
    expect(hashOf([Buffer.from('é')])).toBe(hashOf(['é']));
  });
});

describe('npm packages', () => {
  const one = { version: '1.0.0', integrity: 'sha512-a' };
  const lock = {
    packages: {
      '': {},
      agent: { version: '0.1.0' },
      'node_modules/one': one,
      'node_modules/other-os': { ...one, optional: true },
      'node_modules/@luo-console/agent': { link: true },
    },
  };
  const workspace = { agent: { version: '0.1.0' }, 'node_modules/@luo-console/agent': { link: true } };

  it('match without what is for other machines', () => {
    expect(lockMatches(lock, { packages: { ...workspace, 'node_modules/one': one } })).toBe(true);
  });

  it.each([
    ['missing', {}],
    ['of another version', { 'node_modules/one': { ...one, version: '1.0.1' } }],
    ['of other contents', { 'node_modules/one': { ...one, integrity: 'sha512-b' } }],
    ['surplus', { 'node_modules/one': one, 'node_modules/two': one }],
  ])('do not match when one is %s', (_how, packages) => {
    expect(lockMatches(lock, { packages: { ...workspace, ...packages } })).toBe(false);
  });

  it('are all in the lock file, those of other machines too: npm ci takes less for a contradiction', async () => {
    const text = await readFile(new URL('../../package-lock.json', import.meta.url), 'utf8');
    const { packages } = JSON.parse(text) as { packages: Record<string, Record<string, object>> };
    const isThere = (from: string, name: string): boolean => {
      for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
        if (`${at === '' ? '' : `${at}/`}node_modules/${name}` in packages) return true;
        if (at === '') return false;
      }
    };
    const missing = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...optionalDependencies })
        .filter((name) => !isThere(path, name))
        .map((name) => `${name}, for ${path}`),
    );
    expect(missing).toEqual([]);
  });

  it('are got by the npm that runs us', async () => {
    const script = join(scratch, 'npm-cli.js');
    await writeFile(script, '');
    expect(npmCommand('/n/bin/node', { npm_execpath: script })).toEqual({
      program: '/n/bin/node',
      args: [script],
    });
    expect(npmCommand('/n/bin/node', { npm_execpath: '/gone/npm-cli.js' })).toEqual({
      program: 'npm',
      args: [],
    });
  });
});

describe('runProgram', () => {
  it('returns what was printed and passes lines on', async () => {
    const lines: string[] = [];
    const script = 'console.log("one"); console.error("two")';
    const output = await runProgram(process.execPath, ['-e', script], { onLine: (line) => lines.push(line) });
    expect(output).toBe('one\n');
    expect(lines.sort()).toEqual(['one', 'two']);
  });

  it('says how a program failed, with the end of its output', async () => {
    const script = 'for (let i = 0; i < 100; i++) console.log("line " + i); process.exit(3)';
    const failure = await runProgram(process.execPath, ['-e', script]).catch((error) => error.message);
    expect(failure).toMatch(/exit status 3/);
    expect(failure).toMatch(/line 99$/);
    expect(failure).not.toMatch(/line 10\n/);
  });
});

describe('formatElapsed', () => {
  it.each([
    [0, '0.0 s'],
    [9_940, '9.9 s'],
    [9_960, '10 s'],
    [59_400, '59 s'],
    [59_600, '1 min 00 s'],
    [425_000, '7 min 05 s'],
  ])('%i ms is %s', (milliseconds, text) => {
    expect(formatElapsed(milliseconds)).toBe(text);
  });
});
