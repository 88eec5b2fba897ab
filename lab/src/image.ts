// SPDX-License-Identifier: Apache-2.0
/**
 * Root images, in two stages. The base is a Debian suite reduced to what a host of virtual machines needs. It comes
 * from the network, and only the list of packages changes it. The image adds the parts that change often: the lab's own
 * files, both kernels, the agent's package. It is made from cached parts in seconds. An ordinary user can do both:
 * mmdebstrap and the second stage then run as the root of a user namespace.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { cached, cacheRoot, exists, hashOf, prune } from './cache.ts';
import { command } from './command.ts';
import { buildKernels, type Kernels } from './kernel.ts';
import { debianKeyring, debianMirror } from './mirror.ts';
import { type OnProgress, silent, step, withOthersShown } from './progress.ts';

/** Debian suites a host can be made of: systemd 262 and systemd 257. */
export const allSuites = ['sid', 'trixie'] as const;
export type Suite = (typeof allSuites)[number];

export interface ImageOptions {
  readonly suite?: Suite;
  /** The agent's package; without it the host has no agent. */
  readonly deb?: string | undefined;
  /** Fetch the newest packages and kernel source, instead of what the cache has. */
  readonly refresh?: boolean | undefined;
  readonly onProgress?: OnProgress | undefined;
}

export interface Image {
  readonly suite: Suite;
  /** Raw ext4 file system, sparse. */
  readonly path: string;
  readonly kernels: Kernels;
}

// libstdc++6 is the agent package's one dependency that nothing else here brings.
const packageNames = [
  'systemd',
  'systemd-sysv',
  'udev',
  'mount',
  'dbus',
  'login',
  'passwd',
  'openssh-server',
  'iproute2',
  'procps',
  'kexec-tools',
  'less',
  'qemu-system-x86',
  'libstdc++6',
  // What makes initrds, of both kinds; the host itself starts without one.
  'initramfs-tools-core',
  'dracut-core',
  // Loads AppArmor's profiles on a host whose kernel command line turns it on.
  'apparmor',
];
// trixie's own QEMU cannot do what later updates of virtual machines need; the rest stays trixie's.
const backportedPackages = 'qemu-system-x86 qemu-system-common qemu-system-data seabios ipxe-qemu';
const imageSize = '4G';
const filesDirectory = join(import.meta.dirname, '../image/root');
const assembleScript = join(import.meta.dirname, '../image/assemble.sh');

/**
 * A suite from the command line.
 *
 * @throws RangeError that names the suites there are
 */
export function parseSuite(value: string): Suite {
  const suite = allSuites.find((candidate) => candidate === value);
  if (suite) return suite;
  throw new RangeError(`suite ${JSON.stringify(value)}: expected ${allSuites.join(' or ')}`);
}

/**
 * The root image of a suite, built if the cache does not have it. Builds the kernels too.
 *
 * @throws CommandError with the end of the output when a step fails
 */
export async function buildImage(options: ImageOptions = {}): Promise<Image> {
  const { suite = 'sid', deb, refresh = false, onProgress = silent } = options;
  if (deb !== undefined && !(await exists(deb))) {
    throw new Error(`agent package ${deb}: no such file, expected a .deb`);
  }
  const root = cacheRoot();
  const lock = join(root, `image-${suite}.lock`);
  return withOthersShown(onProgress, lock, async () => {
    const base = await buildBase(root, suite, refresh, onProgress);
    const kernels = await buildKernels({ onProgress, refresh });
    // A refreshed base has the same name and other contents.
    const made = (await stat(join(base, 'root.tar'))).mtimeMs;
    const recipe = [
      basename(base),
      `${made}`,
      basename(kernels.directory),
      imageSize,
      await readFile(assembleScript),
    ];
    recipe.push(...(await filesUnder(filesDirectory)), deb === undefined ? '' : await digest(deb));
    const entry = join(root, `image-${suite}-${hashOf(recipe)}`);
    await cached(entry, (directory) =>
      step(onProgress, `assemble the ${suite} root image`, async () => {
        const args = [
          join(base, 'root.tar'),
          filesDirectory,
          kernels.directory,
          deb ?? '',
          join(directory, 'root.img'),
          imageSize,
        ];
        await asRoot(['sh', assembleScript, ...args]);
        await chmod(join(directory, 'root.img'), 0o444);
      }),
    );
    await prune(root, `image-${suite}`, 2);
    return { suite, path: join(entry, 'root.img'), kernels };
  });
}

async function buildBase(
  root: string,
  suite: Suite,
  refresh: boolean,
  onProgress: OnProgress,
): Promise<string> {
  const args = baseArguments(suite);
  const entry = join(root, `base-${suite}-${hashOf(args)}`);
  await cached(
    entry,
    (directory) =>
      step(onProgress, `fetch Debian ${suite}`, async () => {
        const mirror = await debianMirror();
        const suites = suite === 'trixie' ? ['trixie', 'trixie-backports'] : [suite];
        const sources = suites.map((name) => `deb [signed-by=${debianKeyring}] ${mirror} ${name} main`);
        const proxies = (
          await command('apt-config', ['dump', '--format', '%f "%v";%n', 'Acquire::http', 'Acquire::https'])
        )
          .split('\n')
          .filter((line) => /::Proxy/i.test(line) && !line.endsWith('"";'))
          .map((line) => `--aptopt=${line}`);
        await command('mmdebstrap', [...args, ...proxies, suite, join(directory, 'root.tar'), ...sources]);
      }),
    refresh,
  );
  // Worktrees with different packages share one cache.
  await prune(root, `base-${suite}`, 2);
  return entry;
}

/** mmdebstrap's arguments, without those that only say where packages come from. */
function baseArguments(suite: Suite): string[] {
  const args = ['--variant=essential', `--include=${packageNames.join(',')}`, '--architectures=amd64'];
  args.push('--aptopt=Acquire::Check-Valid-Until "false"', '--aptopt=APT::Install-Recommends "false"');
  // Documentation would be half of the files; the agent's own manual pages are wanted.
  for (const path of ['doc', 'man', 'locale', 'info', 'i18n']) {
    args.push(`--dpkgopt=path-exclude=/usr/share/${path}/*`);
  }
  args.push('--dpkgopt=path-include=/usr/share/man/man*/luo*');
  if (suite === 'trixie') {
    const pin = `Package: ${backportedPackages}\\nPin: release n=trixie-backports\\nPin-Priority: 900\\n`;
    args.push(`--setup-hook=printf '${pin}' > "$1/etc/apt/preferences.d/lab"`);
  }
  return args;
}

/** Runs a command with the rights to make a root file system, in a separate mount namespace. */
async function asRoot(line: readonly string[]): Promise<void> {
  const privileged = process.getuid?.() === 0;
  const user = privileged ? [] : ['--map-root-user', '--map-users=auto', '--map-groups=auto'];
  await command('unshare', [...user, '--mount', '--pid', '--fork', '--kill-child', '--', ...line]);
}

/** Paths, modes and contents of the files under a directory, in a fixed order, for a hash. */
async function filesUnder(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const parts = paths.sort().map(async (path) => [relative(directory, path), await readFile(path, 'utf8')]);
  return (await Promise.all(parts)).flat();
}

async function digest(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
