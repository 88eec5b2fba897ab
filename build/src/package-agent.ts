// SPDX-License-Identifier: Apache-2.0
/**
 * The agent's Debian package, the one an operator installs and the lab installs too. It brings its own
 * Node 24 and depends on nothing but systemd and the C and C++ libraries. The same inputs give the same
 * file, byte for byte, and it is kept in the cache under their hash.
 */

import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { cached, cacheRoot } from '../bootstrap/cache.mjs';
import { runProgram } from '../bootstrap/programs.mjs';
import { addonFiles, type Bundle, bundleProgram, licencesOf } from './package-agent/bundle.ts';
import { buildCarrier } from './package-agent/carrier.ts';
import { filesUnder, hashOfFiles, type PackageFile, packageTime, writeTree } from './package-agent/tree.ts';
import { inRepository, nodeDirectory } from './places.ts';

const filesDirectory = inRepository('build/agent-package');
const libraryDirectory = 'usr/lib/luo-console-agent';
const documentationDirectory = 'usr/share/doc/luo-console-agent';
// Changing how the package is made, and not from what, must also make a new one.
const recipeVersion = '2';
// Every change of the agent's sources makes another; whoever still uses one has just used it.
const entriesKept = 6;

async function compressed(text: string | Buffer): Promise<Buffer> {
  // Without a time stamp, as `gzip -9n`: Node's gzip writes none.
  return promisify(gzip)(text, { level: constants.Z_BEST_COMPRESSION });
}

/** The manual pages: their prose from files, and the parts of luocon's page as the finished luocon prints them. */
async function manualPages(version: string, luocon: string): Promise<PackageFile[]> {
  const part = async (name: string): Promise<string> =>
    (await runProgram(process.execPath, [luocon, 'manual', name])).trimEnd();
  const [options, commands, exitStatus] = await Promise.all(['options', 'commands', 'exit-status'].map(part));
  const parts: Readonly<Record<string, string | undefined>> = {
    '@VERSION@': version,
    '@OPTIONS@': options,
    '@COMMANDS@': commands,
    '@EXIT_STATUS@': exitStatus,
  };
  const pages = await filesUnder(join(filesDirectory, 'man'), () => 0o644);
  return Promise.all(
    pages.map(async ({ path, contents }) => {
      const text = String(contents).replace(/@[A-Z_]+@/g, (name) => parts[name] ?? name);
      return {
        path: `usr/share/man/man${path.slice(-1)}/${path}.gz`,
        mode: 0o644 as const,
        contents: await compressed(text),
      };
    }),
  );
}

/** Shell completions, as the finished luocon prints them. */
async function completions(luocon: string): Promise<PackageFile[]> {
  const places = {
    bash: 'usr/share/bash-completion/completions/luocon',
    zsh: 'usr/share/zsh/vendor-completions/_luocon',
  };
  return Promise.all(
    Object.entries(places).map(async ([shell, path]) => ({
      path,
      mode: 0o644 as const,
      contents: await runProgram(process.execPath, [luocon, 'completion', shell]),
    })),
  );
}

async function documentation(bundles: readonly Bundle[]): Promise<PackageFile[]> {
  const packages = [...new Set(bundles.flatMap((bundle) => bundle.packages))].sort();
  const node = await readFile(join(nodeDirectory, 'LICENSE'));
  const licences = await licencesOf(packages);
  return [
    { path: 'copyright', contents: await readFile(join(filesDirectory, 'copyright')) },
    { path: 'node-license.gz', contents: await compressed(node) },
    { path: 'third-party-licenses.gz', contents: await compressed(licences) },
  ].map(({ path, contents }) => ({
    path: join(documentationDirectory, path),
    mode: 0o644 as const,
    contents,
  }));
}

/**
 * Everything in the package but the package's own control files.
 *
 * @param version of the agent
 * @param scratch empty directory; the programs are put into it, and luocon is asked for its completions and its manual
 */
export async function packageFiles(version: string, scratch: string): Promise<PackageFile[]> {
  const programs = await Promise.all([
    bundleProgram('agent/src/main.ts', 'luo-console-agent.mjs', true),
    bundleProgram('agent/src/luocon/main.ts', 'luocon.mjs'),
  ]);
  const bundles = programs.flat();
  const library: PackageFile[] = bundles.map(({ name, code }) => ({
    path: join(libraryDirectory, name),
    mode: 0o644,
    contents: code,
  }));
  for (const [name, path] of Object.entries(addonFiles)) {
    library.push({
      path: join(libraryDirectory, name),
      mode: 0o644,
      contents: await readFile(inRepository(path)),
    });
  }
  await writeTree(scratch, library);
  const installed = await filesUnder(join(filesDirectory, 'root'), (path) =>
    path.startsWith('usr/bin/') ? 0o755 : 0o644,
  );
  const node: PackageFile = {
    path: join(libraryDirectory, 'node'),
    mode: 0o755,
    contents: { copyOf: process.execPath, identity: basename(nodeDirectory) },
  };
  const luocon = join(scratch, libraryDirectory, 'luocon.mjs');
  const carrier: PackageFile = {
    path: join(libraryDirectory, 'carrier'),
    mode: 0o755,
    contents: await readFile(await buildCarrier()),
  };
  return [
    ...library,
    carrier,
    ...installed,
    ...(await manualPages(version, luocon)),
    ...(await completions(luocon)),
    ...(await documentation(bundles)),
    node,
  ];
}

/**
 * The package's control file.
 *
 * @param version of the agent
 * @param bytes what it takes up once installed
 * @param glibc the oldest C library it runs with
 * @param inputs hash of what it is made from, which tells two packages of one version apart
 */
export function controlFile(version: string, bytes: number, glibc: string, inputs: string): string {
  return `Package: luo-console-agent
Version: ${version}
Architecture: amd64
Maintainer: LUO Console authors <luo-console@localhost>
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: libc6 (>= ${glibc}), libstdc++6 (>= 11), systemd (>= 252)
Recommends: xz-utils
Build-Inputs: ${inputs}
Section: admin
Priority: optional
Description: keeps memory in place while the kernel is replaced
 luo-console-agent holds the sessions of Linux's Live Update Orchestrator on a hypervisor
 host, plans and runs a live update (a kexec into another kernel with preserved
 memory), and keeps a journal of every act and its result. luocon is its command
 line.
`;
}

/** The newest version of the C library that any symbol of some binaries is bound to. */
async function neededGlibc(binaries: readonly string[]): Promise<string> {
  const symbols = await runProgram('objdump', ['--dynamic-syms', ...binaries]);
  return newestGlibc(symbols);
}

/**
 * The newest version of the C library that is named in a list of symbols.
 *
 * @param symbols as `objdump --dynamic-syms` prints them
 * @returns such as `2.34`
 */
export function newestGlibc(symbols: string): string {
  const minors = [...symbols.matchAll(/\bGLIBC_2\.(\d+)/g)].map((match) => Number(match[1]));
  return `2.${Math.max(...minors)}`;
}

interface Prepared {
  readonly files: readonly PackageFile[];
  readonly version: string;
  /** Hash of everything the package is made from. */
  readonly inputs: string;
  /** Name of the cache entry, and of the package in it. */
  readonly entry: string;
  readonly name: string;
}

async function build(into: string, { files, version, inputs, name }: Prepared): Promise<void> {
  const tree = join(into, 'tree');
  await writeTree(tree, files);
  const node = join(tree, libraryDirectory, 'node');
  await runProgram('strip', ['--strip-unneeded', node]);
  const binaries = [node, ...Object.keys(addonFiles).map((addon) => join(tree, libraryDirectory, addon))];
  const control = await filesUnder(join(filesDirectory, 'DEBIAN'), () => 0o755);
  const installed = await runProgram('du', ['--summarize', '--bytes', tree]);
  await writeTree(tree, [
    ...control.map((file) => ({ ...file, path: join('DEBIAN', file.path) })),
    {
      path: 'DEBIAN/control',
      mode: 0o644,
      contents: controlFile(version, Number.parseInt(installed, 10), await neededGlibc(binaries), inputs),
    },
  ]);
  // The compression is chosen for the lab, which builds and installs this again and again.
  const options = ['--root-owner-group', '-Zzstd', '-z6', '--threads-max=2'];
  await runProgram('dpkg-deb', [...options, '--build', tree, join(into, name)], {
    env: { SOURCE_DATE_EPOCH: String(packageTime) },
  });
  await rm(tree, { recursive: true });
}

async function prepare(): Promise<Prepared> {
  const { version } = JSON.parse(await readFile(inRepository('agent/package.json'), 'utf8'));
  const scratch = await mkdtemp(join(tmpdir(), 'luo-console-agent-'));
  try {
    const files = await packageFiles(version, scratch);
    const control = await filesUnder(join(filesDirectory, 'DEBIAN'), () => 0o755);
    const inputs = hashOfFiles([...files, ...control], recipeVersion);
    return {
      files,
      version,
      inputs,
      entry: `agent-package-${inputs}`,
      name: `luo-console-agent_${version}_amd64.deb`,
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Whether the package that the sources would give is in the cache. */
export async function agentPackageIsBuilt(): Promise<boolean> {
  const { entry, name } = await prepare();
  return existsSync(join(cacheRoot(), entry, name));
}

/**
 * Builds the agent's package, if the cache does not have it.
 *
 * @returns path of the .deb; its field `Build-Inputs` is the hash of what it is made from
 * @throws Error with the output of what failed
 */
export async function packageAgent(): Promise<string> {
  const prepared = await prepare();
  return join(await cached(prepared.entry, (into) => build(into, prepared), entriesKept), prepared.name);
}
