// SPDX-License-Identifier: Apache-2.0
/**
 * The lab's kernels. Debian builds its own without KHO and LUO. So the lab compiles Debian's source package twice
 * with its own configuration: local version "-a" and "-b". Nothing else differs, and an update from one to the other
 * visibly changes `uname -r`. A third one, "-m", has KVM as modules, as distributions do. It is built for the tests that
 * ask for it, and is in no image. Such a test puts it and its modules into its host.
 *
 * There are these cache entries: the source package, the tree it is unpacked and compiled in, the two finished kernels,
 * and the third one. The current version of the package is asked for once, and again on request. The tree is kept. An
 * interrupted build goes on where it stopped, and the second kernel recompiles only the files with the version string. A
 * changed configuration recompiles only what it affects.
 */

import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { privateApt } from './apt.ts';
import { cached, cacheRoot, exists, hashOf, prune } from './cache.ts';
import { command } from './command.ts';
import { debianMirror } from './mirror.ts';
import { type OnProgress, silent, step, withOthersShown } from './progress.ts';

/** The local versions in every image, in the order in which they are built: a host starts with the first. */
const localVersions = ['-a', '-b'] as const;
/** That of the kernel with modules. */
const withModules = '-m';
type LocalVersion = (typeof localVersions)[number] | typeof withModules;

/** What is a module in the kernel "-m", and built into the others. */
const asModules: readonly string[] = ['CONFIG_KVM', 'CONFIG_KVM_AMD'];

/** One built kernel. */
export interface Kernel {
  /** What `uname -r` says, such as `7.3.4-a`. */
  readonly release: string;
  /** Path of the bzImage. */
  readonly image: string;
  /** Path of the configuration it was built with. */
  readonly config: string;
}

/** A built kernel that has modules. */
export interface KernelWithModules extends Kernel {
  /**
   * Directory for `/lib/modules/RELEASE` of a host. It has the modules and what the kernel's build says of them; depmod(8)
   * has still to be run there.
   */
  readonly modules: string;
}

export interface Kernels {
  readonly directory: string;
  readonly a: Kernel;
  readonly b: Kernel;
}

interface SourcePackage {
  readonly name: string;
  readonly version: string;
  readonly archive: string;
}

const kernelSuite = 'trixie-backports';
const sourcePackageName = /^linux-source-7\.(\d+)$/;
const configFragment = join(import.meta.dirname, '../kernel/lab.config');
const driverDirectory = join(import.meta.dirname, '../kernel/driver');
// Changing how the kernels are built, and not from what, must also make new ones.
const recipeVersion = '1';
// Worktrees with different configurations share one cache: none may take another's kernels.
const kernelsKept = 4;

/**
 * Both lab kernels, built if the cache does not have them.
 *
 * @param options.refresh ask the mirror for a newer source package (otherwise it is asked only
 *   when the cache has none)
 * @throws CommandError with the end of the output when a step fails
 */
export async function buildKernels(
  options: { readonly onProgress?: OnProgress; readonly refresh?: boolean } = {},
): Promise<Kernels> {
  const directory = await built('kernel', localVersions, options);
  return { directory, a: await kernelIn(directory, '-a'), b: await kernelIn(directory, '-b') };
}

/**
 * The kernel with modules, built if the cache does not have it.
 *
 * @throws CommandError with the end of the output when a step fails
 */
export async function buildKernelWithModules(
  options: { readonly onProgress?: OnProgress } = {},
): Promise<KernelWithModules> {
  const directory = await built('kernel-modules', [withModules], options);
  const kernel = await kernelIn(directory, withModules);
  return { ...kernel, modules: join(directory, 'lib/modules', kernel.release) };
}

/** The cache entry of a kind with kernels of these local versions. */
async function built(
  kind: string,
  versions: readonly LocalVersion[],
  options: { readonly onProgress?: OnProgress; readonly refresh?: boolean },
): Promise<string> {
  const onProgress = options.onProgress ?? silent;
  const root = cacheRoot();
  const locked = <T>(what: string, work: () => Promise<T>): Promise<T> =>
    withOthersShown(onProgress, join(root, `${what}.lock`), work);
  const ofAll = 'kernel';
  const source = await locked(ofAll, () => sourcePackage(root, onProgress, options.refresh ?? false));
  // Who wants the kernels of every image does not wait for the one with modules.
  return locked(kind, async () => {
    const recipe = [
      recipeVersion,
      source.name,
      source.version,
      await readFile(configFragment),
      ...(await driverFiles()),
      ...(versions.includes(withModules) ? asModules : []),
    ];
    const entry = join(root, `${kind}-${hashOf(recipe)}`);
    await cached(entry, async (directory) => {
      const unpack = (): Promise<string> => sourceTree(root, source, onProgress);
      const tree = kind === ofAll ? await unpack() : await locked(ofAll, unpack);
      for (const local of versions) {
        await step(onProgress, `compile the kernel ${local}`, (detail) =>
          compile(tree, local, directory, detail),
        );
      }
    });
    await prune(root, kind, kernelsKept);
    return entry;
  });
}

/** The kernel of a local version in a finished cache entry. */
async function kernelIn(directory: string, local: LocalVersion): Promise<Kernel> {
  const names = await readdir(directory);
  const name = names.find((candidate) => candidate.startsWith('vmlinuz-') && candidate.endsWith(local));
  if (name === undefined) throw new Error(`${directory}: no kernel with local version ${local} in it`);
  const release = name.slice('vmlinuz-'.length);
  return { release, image: join(directory, name), config: join(directory, `config-${release}`) };
}

async function sourcePackage(root: string, onProgress: OnProgress, refresh: boolean): Promise<SourcePackage> {
  const entry = join(root, `linux-source-${hashOf([kernelSuite, sourcePackageName.source])}`);
  await cached(
    entry,
    (directory) =>
      step(onProgress, 'download the kernel source', async (detail) => {
        const mirror = await debianMirror();
        const apt = await privateApt(join(root, `apt-${hashOf([mirror, kernelSuite])}`), mirror, [
          kernelSuite,
        ]);
        const minor = (name: string): number => Number(sourcePackageName.exec(name)?.[1]);
        const packages = await apt.candidates('linux-source-7.', sourcePackageName);
        const newest = packages.sort((one, other) => minor(other.name) - minor(one.name)).at(0);
        if (!newest) throw new Error(`${mirror} ${kernelSuite}: no package linux-source-7.*`);
        detail(`${newest.name} ${newest.version}`);
        await apt.download(newest.name, newest.version, directory);
        const deb = (await readdir(directory)).find((name) => name.endsWith('.deb'));
        await command('dpkg-deb', ['--extract', join(directory, deb ?? ''), join(directory, 'files')]);
        const archive = `${newest.name}.tar.xz`;
        await rename(join(directory, 'files/usr/src', archive), join(directory, archive));
        await rm(join(directory, 'files'), { recursive: true });
        await rm(join(directory, deb ?? ''));
        await writeFile(join(directory, 'package.json'), JSON.stringify({ ...newest, archive }));
      }),
    refresh,
  );
  const { name, version, archive } = JSON.parse(
    await readFile(join(entry, 'package.json'), 'utf8'),
  ) as SourcePackage;
  return { name, version, archive: join(entry, archive) };
}

/** Names and contents of the lab's own drivers, in a fixed order, for the hash. */
async function driverFiles(): Promise<string[]> {
  const names = (await readdir(driverDirectory)).sort();
  const files = names.map(async (name) => [name, await readFile(join(driverDirectory, name), 'utf8')]);
  return (await Promise.all(files)).flat();
}

/** The source, unpacked, with the lab's drivers as they are now. */
async function sourceTree(root: string, source: SourcePackage, onProgress: OnProgress): Promise<string> {
  const tree = join(root, `kernel-tree-${hashOf([source.name, source.version])}`);
  const unpacked = await cached(tree, (directory) =>
    step(onProgress, `unpack ${source.name} ${source.version}`, async () => {
      await mkdir(join(directory, 'source'));
      await command('tar', ['-xf', source.archive, '--strip-components=1', '-C', join(directory, 'source')]);
      await hookDriver(join(directory, 'source'));
    }),
  );
  await prune(root, 'kernel-tree', 1);
  await syncDriver(join(unpacked, 'source', 'drivers/luo-lab'));
  return unpacked;
}

/** Makes drivers/luo-lab part of the kernel's own build. */
async function hookDriver(source: string): Promise<void> {
  const makefile = join(source, 'drivers/Makefile');
  await writeFile(makefile, `${await readFile(makefile, 'utf8')}\nobj-$(CONFIG_LUO_LAB) += luo-lab/\n`);
  const kconfig = join(source, 'drivers/Kconfig');
  const menu = await readFile(kconfig, 'utf8');
  await writeFile(kconfig, menu.replace(/^endmenu\s*$/m, 'source "drivers/luo-lab/Kconfig"\n\nendmenu\n'));
}

/** Brings the drivers in the tree up to date; unchanged files keep their time, so make skips them. */
async function syncDriver(target: string): Promise<void> {
  await mkdir(target, { recursive: true });
  const wanted = await readdir(driverDirectory);
  for (const name of await readdir(target)) {
    if (!wanted.includes(name)) await rm(join(target, name), { recursive: true });
  }
  for (const name of wanted) {
    const [from, to] = [join(driverDirectory, name), join(target, name)];
    const same = (await exists(to)) && (await readFile(to)).equals(await readFile(from));
    if (!same) await cp(from, to);
  }
}

async function compile(
  tree: string,
  local: LocalVersion,
  into: string,
  detail: (text: string) => void,
): Promise<void> {
  // Nearly every file is compiled anew when KVM becomes a module.
  const objects = join(tree, local === withModules ? 'objects-modules' : 'objects');
  await mkdir(objects, { recursive: true });
  const fragment = join(tree, `fragment${local}.config`);
  await writeFile(fragment, `${await optionsFor(local)}\nCONFIG_LOCALVERSION="${local}"\n`);
  const make = (args: readonly string[], onLine?: (line: string) => void): Promise<string> =>
    command('make', ['-C', join(tree, 'source'), `O=${objects}`, ...args], {
      // The version string names its builder; the machine's name has no business in it.
      env: { KCONFIG_ALLCONFIG: fragment, KBUILD_BUILD_USER: 'luo-console', KBUILD_BUILD_HOST: 'lab' },
      log: join(tree, `build${local}.log`),
      ...(onLine ? { onLine } : {}),
    });
  await make(['allnoconfig']);
  await requireOptions(join(objects, '.config'), await readFile(fragment, 'utf8'));
  let compiled = 0;
  const targets = local === withModules ? ['bzImage', 'modules'] : ['bzImage'];
  await make([`-j${availableParallelism()}`, ...targets], (line) => {
    if (/^ {2}(CC|AS|AR|LD) /.test(line)) detail(`${++compiled} files`);
  });
  const release = (await readFile(join(objects, 'include/config/kernel.release'), 'utf8')).trim();
  if (!release.endsWith(local)) throw new Error(`kernel release ${release}: expected it to end in ${local}`);
  await cp(join(objects, 'arch/x86/boot/bzImage'), join(into, `vmlinuz-${release}`));
  await cp(join(objects, '.config'), join(into, `config-${release}`));
  if (local !== withModules) return;
  // depmod is the host's: not every machine that builds kernels has it.
  await make([`INSTALL_MOD_PATH=${into}`, 'DEPMOD=true', 'modules_install']);
  await rm(join(into, 'lib/modules', release, 'build'), { force: true });
}

/** The lab's configuration for a kernel of this local version. */
async function optionsFor(local: LocalVersion): Promise<string> {
  const options = await readFile(configFragment, 'utf8');
  if (local !== withModules) return options;
  return options.replaceAll(/^(CONFIG_\w+)=y$/gm, (line, name: string) =>
    asModules.includes(name) ? `${name}=m` : line,
  );
}

/**
 * Checks that the kernel took every option asked for: kconfig silently drops one whose
 * dependencies are not met, which would only be noticed in a host that half works.
 */
async function requireOptions(config: string, fragment: string): Promise<void> {
  const got = new Set((await readFile(config, 'utf8')).split('\n'));
  const wanted = fragment.split('\n').filter((line) => line.startsWith('CONFIG_'));
  const missing = wanted.filter((line) => !got.has(line));
  if (missing.length > 0) {
    throw new Error(`${basename(configFragment)}: the kernel did not accept ${missing.join(', ')}`);
  }
}
