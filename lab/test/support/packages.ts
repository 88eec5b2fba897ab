// SPDX-License-Identifier: Apache-2.0
/**
 * Debian packages that a host may have beside ours, made up for tests: upstream's `luo-agent`, and our own from when it
 * had that name. And dpkg in a host.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { execa } from 'execa';
import { expect } from 'vitest';
import type { LabHost, ShResult } from '../../src/index.ts';
import { run } from './memory.ts';

/** The name of our package. */
export const ours = 'luo-console-agent';

interface MadeFile {
  readonly contents: string | Buffer;
  readonly mode?: number;
}

/** Files of a package by their path; those of DEBIAN are its control files. */
type Files = Readonly<Record<string, MadeFile>>;

const script = (contents: string): MadeFile => ({ contents: `#!/bin/sh\nset -e\n${contents}`, mode: 0o755 });
const text = (contents: string): MadeFile => ({ contents });

const upstreamUnit = `[Unit]
Description=Live Update Orchestrator daemon
[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/sbin/luod
Restart=on-failure
[Install]
WantedBy=multi-user.target
`;

/** Every file of upstream's package but its control files: names that ours once had, and names it must not touch. */
const upstreamFiles: Files = {
  'usr/bin/luoctl': script('echo "upstream: no sessions"\n'),
  // It opens the device and keeps it, as upstream's does. What it starts must not have it too.
  'usr/sbin/luod': script('exec 3<>/dev/liveupdate\nsystemd-notify --ready 3<&-\nsleep infinity 3<&-\n'),
  'usr/lib/systemd/system/luod.service': text(upstreamUnit),
  'etc/luo-agent/luod.conf': text('# upstream\n'),
  'var/lib/luo-agent/state': text('upstream\n'),
};

/** Paths of upstream's package on a host that has it. */
export const upstreamPaths = Object.keys(upstreamFiles).map((path) => `/${path}`);

const upstreamControl: Files = {
  'DEBIAN/control': text(
    'Package: luo-agent\nVersion: 1.0\nArchitecture: all\nMaintainer: upstream <upstream@localhost>\n' +
      'Description: upstream, made up for a test\n',
  ),
  'DEBIAN/postinst': script(
    'getent group luo > /dev/null || groupadd --system luo\n' +
      'if [ -d /run/systemd/system ]; then systemctl daemon-reload; systemctl enable --now luod.service; fi\n',
  ),
  'DEBIAN/prerm': script('if [ "$1" = remove ]; then systemctl disable --now luod.service || true; fi\n'),
};

async function build(files: Files, into: string, name: string): Promise<string> {
  const tree = join(into, `${name}.tree`);
  for (const [path, { contents, mode = 0o644 }] of Object.entries(files)) {
    const file = join(tree, path);
    await mkdir(dirname(file), { recursive: true, mode: 0o755 });
    await writeFile(file, contents, { mode });
  }
  const deb = join(into, `${name}.deb`);
  await execa('dpkg-deb', ['--root-owner-group', '-Zzstd', '-z1', '--build', tree, deb]);
  await rm(tree, { recursive: true });
  return deb;
}

/** Today's names in a text, as they were while our package was called luo-agent. */
function formerNames(now: string): string {
  return now
    .replaceAll('luo-console-operator', 'luo-operator')
    .replaceAll('luo-console-agent', 'luo-agent')
    .replace(/^g luo-console -$/m, 'g luo -')
    .replaceAll('luo-console', 'luo-agent')
    .replace(/\bluocon\b/g, 'luoctl')
    .replaceAll('LUO_CONSOLE_', 'LUO_AGENT_');
}

/** What it did in those days: it had no package before it. */
const formerPostinst = script(
  'systemd-sysusers luo-agent.conf\nsystemd-tmpfiles --create luo-agent.conf\n' +
    'for unit in luo-agent.socket luo-agent.service; do deb-systemd-helper enable "$unit" > /dev/null; done\n' +
    'systemctl daemon-reload\ndeb-systemd-invoke start luo-agent.socket\n' +
    'deb-systemd-invoke restart luo-agent.service\n',
);

/** Our package under its names of before: an agent that works, so that its sessions are real and so is its luoctl. */
async function formerFiles(deb: string, scratch: string): Promise<Files> {
  const tree = join(scratch, 'now');
  await execa('dpkg-deb', ['--raw-extract', deb, tree]);
  const entries = await readdir(tree, { recursive: true, withFileTypes: true });
  const files: Record<string, MadeFile> = {};
  for (const entry of entries.filter((each) => each.isFile())) {
    const path = relative(tree, join(entry.parentPath, entry.name));
    if (path.startsWith('usr/share/') || path === 'DEBIAN/preinst' || path === 'DEBIAN/md5sums') continue;
    const contents = await readFile(join(tree, path));
    const isText = !contents.subarray(0, 4096).includes(0);
    const mode = /^(DEBIAN\/p|usr\/bin\/)|\/node$/.test(path) ? 0o755 : 0o644;
    files[formerNames(path)] = { contents: isText ? formerNames(contents.toString()) : contents, mode };
  }
  return { ...files, 'DEBIAN/postinst': formerPostinst };
}

/**
 * Makes a package and copies it into a host.
 *
 * @param which `upstream`'s, with a `luod` that keeps the live update device; or our `former` one
 * @param deb ours of today, of which the former one is made
 * @returns its path in the host
 */
export async function bringPackage(
  host: LabHost,
  which: 'upstream' | 'former',
  deb: string,
): Promise<string> {
  const scratch = await mkdtemp(join(tmpdir(), 'luo-package-'));
  try {
    const files =
      which === 'former' ? await formerFiles(deb, scratch) : { ...upstreamFiles, ...upstreamControl };
    return await bringIn(host, await build(files, scratch, `${which}-luo-agent`));
  } finally {
    await rm(scratch, { recursive: true });
  }
}

/** Copies a package into a host. @returns its path there */
export async function bringIn(host: LabHost, deb: string): Promise<string> {
  await host.copyIn([deb], '/var/tmp');
  return `/var/tmp/${basename(deb)}`;
}

/** Runs dpkg. It is a lab host: a power failure in the middle costs nothing. */
export function dpkg(host: LabHost, ...words: string[]): Promise<ShResult> {
  return host.sh(['dpkg', '--force-unsafe-io', ...words]);
}

/** Runs dpkg, which must succeed. @returns what it and the scripts of the package said */
export async function mustDpkg(host: LabHost, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await dpkg(host, ...words);
  if (code !== 0) throw new Error(`dpkg ${words.join(' ')}: exit status ${code}\n${stdout}${stderr}`);
  return `${stdout}${stderr}`;
}

/** Each file with its SHA-256, as `sha256sum` prints them. */
export function digestsOf(host: LabHost, paths: readonly string[]): Promise<string> {
  return run(host, `sha256sum ${paths.join(' ')}`);
}

/** Fails unless our package is whole and its agent answers. */
export async function expectOurs(host: LabHost): Promise<void> {
  // The lab's hosts have no documentation.
  const verified = `dpkg --verify ${ours} | grep -v ' /usr/share/doc'`;
  expect(await run(host, `dpkg-query -W -f '\${Status}' ${ours}; ${verified} || true`)).toBe(
    'install ok installed',
  );
  expect(JSON.parse(await run(host, 'luocon --json status')).status).toMatchObject({ phase: 'normal' });
}
