// SPDX-License-Identifier: Apache-2.0
/** The host that is measured in: made for it, with the agent's package, and gone afterwards. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AgentClient, connectAgent } from '@luo-console/agent/client';
import { execa } from 'execa';
import { rolldown } from 'rolldown';
import { type LabHost, type OnProgress, startHost, type Wire } from '../src/index.ts';

const nativeDirectory = fileURLToPath(new URL('native/', import.meta.url));
const carrierDirectory = fileURLToPath(new URL('../../native-bindings/carrier/', import.meta.url));
/** Where the benchmark's own files are in the host. */
export const hostDirectory = '/var/lib/bench';
/** The Node.js of the agent's package. */
export const nodeInHost = '/usr/lib/luo-console-agent/node';

/** Programs in C, by the sources that they consist of. */
const hostPrograms = {
  floor: ['floor.c', 'plan.c', 'guest.c', 'qmp.c', 'streams.c', 'save.c', 'restore.c', 'luo.c', 'report.c'],
  descriptors: ['descriptors.c', 'luo.c'],
} as const;

/**
 * A host of its own for a benchmark.
 *
 * @param memory such as `4G`
 * @param wire of a second network card, if it has one
 * @throws Error when the agent's package is not named in the environment
 */
export async function benchHost(
  name: string,
  memory: string,
  onProgress: OnProgress,
  wire?: Wire,
): Promise<LabHost> {
  const deb = process.env['LUO_CONSOLE_DEB'];
  if (!deb) throw new Error('LUO_CONSOLE_DEB is not set: run the benchmarks with "npm run bench"');
  const host = await startHost({ name: `bench-${name}`, memory, deb, fresh: true, wire, onProgress });
  await runIn(host, `mkdir -p ${hostDirectory}`);
  // A host from a snapshot has read nothing from its disk: the first to boot in it would wait for this machine's disk.
  await runIn(host, 'echo 3 > /proc/sys/vm/drop_caches; find / -xdev -type f -exec cat {} + > /dev/null');
  return host;
}

/** Runs a command in the host and returns its standard output; a failure is an error with what it printed. */
export async function runIn(host: LabHost, command: string, input = ''): Promise<string> {
  const { code, stdout, stderr } = await host.sh(command, { input });
  if (code !== 0) throw new Error(`in ${host.name}: ${command}: exit status ${code}\n${stderr}${stdout}`);
  return stdout;
}

/** A client of the host's agent. */
export function connect(host: LabHost): Promise<AgentClient> {
  return connectAgent(`ssh://root@${host.sshAlias}`, { sshConfig: host.sshConfig });
}

/** The host's two kernels: paths of their images, the running one first. */
export async function kernelsOf(host: LabHost): Promise<readonly [string, string]> {
  const images = (await runIn(host, 'ls /boot/vmlinuz-*')).trim().split('\n');
  const running = `/boot/vmlinuz-${(await runIn(host, 'uname -r')).trim()}`;
  const [other] = images.filter((image) => image !== running);
  if (images.length !== 2 || other === undefined)
    throw new Error(`kernels in ${host.name}: ${images.join(', ')}, expected ${running} and one more`);
  return [running, other];
}

/** Compiles a program of the benchmark, static, and puts it into the host. */
export async function installProgram(host: LabHost, name: keyof typeof hostPrograms): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'luo-bench-'));
  try {
    const binary = join(directory, name);
    const flags = ['-O2', '-static', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror'];
    await execa('gcc', [
      ...flags,
      '-o',
      binary,
      `-I${carrierDirectory}`,
      ...hostPrograms[name].map((source) => join(nativeDirectory, source)),
      join(carrierDirectory, 'device.c'),
    ]);
    await host.copyIn([binary], hostDirectory);
    return `${hostDirectory}/${name}`;
  } finally {
    await rm(directory, { recursive: true });
  }
}

/**
 * Bundles a script of the benchmark and puts it beside the addon of the agent's package, where it finds it.
 *
 * @param source path from the benchmark's folder
 * @returns its path in the host
 */
export async function installScript(host: LabHost, source: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'luo-bench-'));
  try {
    const build = await rolldown({
      input: fileURLToPath(new URL(source, import.meta.url)),
      platform: 'node',
    });
    await build.write({ dir: directory, format: 'esm', entryFileNames: '[name].mjs', codeSplitting: false });
    await build.close();
    const [name] = await readdir(directory);
    if (name === undefined) throw new Error(`bundling ${source}: nothing came of it`);
    await host.copyIn([join(directory, name)], '/usr/lib/luo-console-agent');
    return `/usr/lib/luo-console-agent/${name}`;
  } finally {
    await rm(directory, { recursive: true });
  }
}
