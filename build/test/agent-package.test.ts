// SPDX-License-Identifier: Apache-2.0
/** The agent's package: what is in it, and that the same inputs give the same file. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packagesOf } from '../src/package-agent/bundle.ts';
import { filesUnder, hashOfFiles, type PackageFile, writeTree } from '../src/package-agent/tree.ts';
import { controlFile, newestGlibc, packageFiles } from '../src/package-agent.ts';

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'luo-package-'));
});
afterAll(() => rm(scratch, { recursive: true }));

describe('what is in the package', () => {
  let files: Map<string, PackageFile>;
  const text = (path: string): string => {
    const contents = files.get(path)?.contents;
    if (typeof contents === 'string') return contents;
    if (Buffer.isBuffer(contents)) return String(path.endsWith('.gz') ? gunzipSync(contents) : contents);
    throw new Error(`${path} is not in the package, or is a copy`);
  };

  beforeAll(async () => {
    const programs = await mkdtemp(join(scratch, 'programs-'));
    files = new Map((await packageFiles('9.8.7', programs)).map((file) => [file.path, file]));
  });

  it('is what an operator needs', () => {
    expect([...files.keys()].sort()).toEqual([
      'usr/bin/luo-console-agent',
      'usr/bin/luocon',
      'usr/lib/luo-console-agent/better_sqlite3.node',
      'usr/lib/luo-console-agent/carrier',
      'usr/lib/luo-console-agent/luo-console-agent-agent.mjs',
      'usr/lib/luo-console-agent/luo-console-agent-manager-version.mjs',
      'usr/lib/luo-console-agent/luo-console-agent-meanwhile.mjs',
      'usr/lib/luo-console-agent/luo-console-agent-renewal-directory.mjs',
      'usr/lib/luo-console-agent/luo-console-agent-said-by.mjs',
      'usr/lib/luo-console-agent/luo-console-agent-serve-calls.mjs',
      'usr/lib/luo-console-agent/luo-console-agent-shutdown-lock.mjs',
      'usr/lib/luo-console-agent/luo-console-agent-stopped-in-store.mjs',
      'usr/lib/luo-console-agent/luo-console-agent-stopped-machines.mjs',
      'usr/lib/luo-console-agent/luo-console-agent-trace.mjs',
      'usr/lib/luo-console-agent/luo-console-agent.mjs',
      'usr/lib/luo-console-agent/luo_native.node',
      'usr/lib/luo-console-agent/luocon.mjs',
      'usr/lib/luo-console-agent/node',
      'usr/lib/luo-console-agent/start.mjs',
      'usr/lib/systemd/system/luo-console-agent.service',
      'usr/lib/systemd/system/luo-console-agent.socket',
      'usr/lib/sysusers.d/luo-console-agent.conf',
      'usr/lib/tmpfiles.d/luo-console-agent.conf',
      'usr/share/bash-completion/completions/luocon',
      'usr/share/doc/luo-console-agent/copyright',
      'usr/share/doc/luo-console-agent/node-license.gz',
      'usr/share/doc/luo-console-agent/third-party-licenses.gz',
      'usr/share/luo-console/machine.schema.json',
      'usr/share/man/man1/luocon.1.gz',
      'usr/share/man/man8/luo-console-agent.8.gz',
      'usr/share/zsh/vendor-completions/_luocon',
    ]);
    const executable = [...files.values()].filter(({ mode }) => mode === 0o755).map(({ path }) => path);
    expect(executable.sort()).toEqual([
      'usr/bin/luo-console-agent',
      'usr/bin/luocon',
      'usr/lib/luo-console-agent/carrier',
      'usr/lib/luo-console-agent/node',
    ]);
  });

  it('has its agent wait for no file system but those that it needs itself', () => {
    const unit = text('usr/lib/systemd/system/luo-console-agent.service');
    const words = (key: string): string[] =>
      [...unit.matchAll(new RegExp(`^${key}=(.+)$`, 'gm'))].flatMap(([, value = '']) => value.split(' '));
    // Each of these waits for all local file systems, or for what does.
    const late = /^(local-fs|sysinit|basic)\.target$|^systemd-tmpfiles-setup\.service$/;
    expect(words('After').filter((name) => late.test(name))).toEqual([]);
    expect(words('After')).toContain('systemd-remount-fs.service');
    expect(words('After')).toContain('var.mount');
    expect(words('DefaultDependencies')).toEqual(['no']);
    // These would have it stopped with a mount, and its sessions lost.
    for (const key of [
      'Requires',
      'BindsTo',
      'RequiresMountsFor',
      'StateDirectory',
      'CacheDirectory',
      'LogsDirectory',
    ])
      expect(words(key), key).toEqual([]);
  });

  it('starts only programs that are in it', () => {
    const started = [
      /^ExecStart=(.+)$/m.exec(text('usr/lib/systemd/system/luo-console-agent.service'))?.[1],
      /^exec (.+) "\$@"$/m.exec(text('usr/bin/luo-console-agent'))?.[1],
      /^exec (.+) "\$@"$/m.exec(text('usr/bin/luocon'))?.[1],
    ];
    for (const line of started) {
      for (const path of line?.split(' ').filter((word) => !word.startsWith('--')) ?? [''])
        expect(files.has(path.slice(1)), path).toBe(true);
    }
  });

  it('has the carrier where the agent looks for it', () => {
    const programs = [...files.keys()].filter((path) => path.endsWith('.mjs'));
    const named = programs.flatMap(
      (path) => text(path).match(/(?<="\/)usr\/lib\/[^"]*\/carrier(?=")/g) ?? [],
    );
    expect([...new Set(named)]).toEqual(['usr/lib/luo-console-agent/carrier']);
    expect(files.get(named[0] ?? '')?.mode).toBe(0o755);
  });

  it('names no directory of the machine it was made on', () => {
    for (const name of [
      'luo-console-agent.mjs',
      'luo-console-agent-agent.mjs',
      'luo-console-agent-trace.mjs',
      'luocon.mjs',
    ]) {
      expect(text(`usr/lib/luo-console-agent/${name}`)).not.toContain(join(import.meta.dirname, '../..'));
    }
  });

  it('has manuals with every placeholder filled in', () => {
    for (const page of ['man1/luocon.1.gz', 'man8/luo-console-agent.8.gz']) {
      const manual = text(`usr/share/man/${page}`);
      expect(manual).toContain('9.8.7');
      expect(manual).not.toMatch(/@[A-Z_]+@/);
    }
    const luocon = text('usr/share/man/man1/luocon.1.gz');
    for (const part of ['.SS \\fBupdate\\fR', '\\-\\-json', '.B 10\n']) expect(luocon).toContain(part);
  });
});

describe('the same inputs', () => {
  const file = (contents: string, mode: PackageFile['mode'] = 0o644): PackageFile => ({
    path: 'a/b',
    mode,
    contents,
  });

  it('have the same hash, and others another', () => {
    expect(hashOfFiles([file('x')], '1')).toBe(hashOfFiles([file('x')], '1'));
    const hashes = [[file('x')], [file('y')], [file('x', 0o755)], []].map((files) => hashOfFiles(files, '1'));
    expect(new Set([...hashes, hashOfFiles([file('x')], '2')]).size).toBe(5);
  });

  it('give the same package whatever the umask, the clock and the order of writing', async () => {
    const make = async (name: string, umask: number): Promise<Buffer> => {
      const tree = join(scratch, name);
      const before = process.umask(umask);
      try {
        const control = `Package: small\nVersion: 1\nArchitecture: all\nMaintainer: x <x@localhost>\nDescription: y\n`;
        await writeTree(tree, [file('x'), { path: 'DEBIAN/control', mode: 0o644, contents: control }]);
      } finally {
        process.umask(before);
      }
      const options = ['--root-owner-group', '-Zzstd', '--threads-max=1', '--build', tree, `${tree}.deb`];
      execFileSync('dpkg-deb', options, { env: { ...process.env, SOURCE_DATE_EPOCH: '1767225600' } });
      return execFileSync('sha256sum', [`${tree}.deb`]).subarray(0, 64);
    };
    expect(String(await make('one', 0o077))).toBe(String(await make('two', 0o022)));
    const listing = String(execFileSync('dpkg-deb', ['--contents', join(scratch, 'one.deb')]));
    expect(listing).toMatch(/^drwxr-xr-x root\/root .* \.\/a\/$/m);
    expect(listing).toMatch(/^-rw-r--r-- root\/root .* \.\/a\/b$/m);
  });

  it('are read in a fixed order', async () => {
    const directory = await mkdtemp(join(scratch, 'order-'));
    for (const name of ['b', 'a']) await writeFile(join(directory, name), name);
    const names = (await filesUnder(directory, () => 0o644)).map(({ path }) => path);
    expect(names).toEqual(['a', 'b']);
  });
});

describe('the control file', () => {
  it('says what is needed', () => {
    const control = controlFile('1.2.3', 2049, '2.34', '0123456789ab');
    expect(control).toContain('Version: 1.2.3\n');
    expect(control).toContain('Installed-Size: 3\n');
    expect(control).toContain('libc6 (>= 2.34)');
    expect(control).toContain('Build-Inputs: 0123456789ab\n');
    for (const line of control.trimEnd().split('\n')) expect(line).toMatch(/^( \S|[A-Z][A-Za-z-]*: \S)/);
  });

  it('names the newest C library that is needed', () => {
    const symbols =
      '0 DF *UND* (GLIBC_2.2.5) free\n0 DF *UND* (GLIBC_2.34) pthread_create\n (GLIBC_2.9) x (GLIBCXX_3.4.30)';
    expect(newestGlibc(symbols)).toBe('2.34');
  });
});

describe('parts of it', () => {
  it('are told apart by npm package', () => {
    const modules = [
      '/r/node_modules/a/x.js',
      '/r/node_modules/@s/b/c/y.js',
      '/r/agent/src/main.ts',
      '/r/node_modules/a/z.js',
    ];
    expect(packagesOf(modules)).toEqual(['/r/node_modules/@s/b', '/r/node_modules/a']);
  });
});
