// SPDX-License-Identifier: Apache-2.0
/**
 * The two cooperating VMMs of lab/examples in a host: built, installed, started with the host as an operator would
 * have it, and what they said. What they should have said about their memory is computed here once more.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { rolldown } from 'rolldown';
import type { LabHost } from '../../src/index.ts';
import { run } from './memory.ts';

const examplesDirectory = fileURLToPath(new URL('../../examples', import.meta.url));
const addonPath = fileURLToPath(
  new URL('../../../native-bindings/build/Release/luo_native.node', import.meta.url),
);
const vmmDirectory = '/usr/local/lib/cooperating-vmm';

/** How each is started; the name of a session follows. */
export const hostPrograms = {
  C: `${vmmDirectory}/cooperating-vmm`,
  TypeScript: `/usr/lib/luo-console-agent/node ${vmmDirectory}/cooperating-vmm.mjs`,
} as const;

/** A line about the machine: what happened, and where the machine was then. */
export interface Said {
  readonly what: string;
  readonly count: number;
  /** Seconds. */
  readonly clock: number;
  readonly checksum: string;
}

/** Builds both programs and puts them into the host. */
export async function installVmms(host: LabHost): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'luo-cooperating-'));
  const binary = join(directory, 'cooperating-vmm');
  const bundle = join(directory, 'cooperating-vmm.mjs');
  const sources = (await readdir(join(examplesDirectory, 'c'))).filter((name) => name.endsWith('.c'));
  const flags = ['-O2', '-static', '-Wall', '-Wextra', '-Werror'];
  await execa('gcc', [...flags, '-o', binary, ...sources], { cwd: join(examplesDirectory, 'c') });
  const build = await rolldown({
    input: join(examplesDirectory, 'typescript/cooperating-vmm.ts'),
    platform: 'node',
  });
  await build.write({ file: bundle, format: 'esm', codeSplitting: false });
  await build.close();
  await run(host, `mkdir ${vmmDirectory}`);
  await host.copyIn([binary, bundle, addonPath], vmmDirectory);
  await run(host, `chmod -R a+rX ${vmmDirectory}`);
  await rm(directory, { recursive: true });
}

const logOf = (name: string): string => `/var/log/${name}.log`;

/** Makes a unit for a VMM that starts with the host, without root but as an operator, and starts it. */
export async function startWithHost(host: LabHost, name: string, program: string): Promise<void> {
  const unit = [
    '[Unit]',
    'Wants=luo-console-agent.service',
    'After=luo-console-agent.service',
    '[Service]',
    'DynamicUser=yes',
    'SupplementaryGroups=luo-console-operator',
    `ExecStart=${program} ${name}`,
    `StandardOutput=append:${logOf(name)}`,
    '[Install]',
    'WantedBy=multi-user.target',
  ];
  await host.sh(['tee', `/etc/systemd/system/${name}.service`], { input: `${unit.join('\n')}\n` });
  await run(host, `systemctl enable --quiet --now ${name}`);
}

/** Runs a VMM that is expected to end by itself, without root, and returns how. */
export async function tryVmm(
  host: LabHost,
  name: string,
  program: string,
  group?: 'luo-console' | 'luo-console-operator',
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const groups = group === undefined ? '' : `-p SupplementaryGroups=${group}`;
  return host.sh(
    `systemd-run --quiet --wait --pipe -p DynamicUser=yes ${groups} -p RuntimeMaxSec=300 ${program} ${name}`,
  );
}

/** Waits until a VMM has said something so many times. */
export async function untilSaid(host: LabHost, name: string, what: string, times = 1): Promise<void> {
  const lines = `tail -n +1 -F ${logOf(name)} 2> /run/tail-${name} | grep -m ${times} '^${what} '`;
  const found = (await run(host, `timeout 300 sh -c "${lines}"`)).trimEnd().split('\n');
  if (found.length !== times) throw new Error(`${name} said "${what}" ${found.length} times, not ${times}`);
}

/** Everything a VMM said, in both kernels. */
export async function whatWasSaid(host: LabHost, name: string): Promise<readonly Said[]> {
  const lines = (await run(host, `cat ${logOf(name)}`)).trimEnd().split('\n');
  return lines.map((line) => {
    const match = /^([a-z]+) (\d+) clock (\d+\.\d{9}) checksum ([0-9a-f]{8})$/.exec(line);
    if (!match) throw new Error(`${name}: a line that no VMM writes: ${JSON.stringify(line)}`);
    const [, what = '', count, clock, checksum = ''] = match;
    return { what, count: Number(count), clock: Number(clock), checksum };
  });
}

const memoryPages = 1024;
const pageWords = 1024;

/** The checksum of the machine's memory at each count from 0 on. */
export function checksums(most: number): readonly string[] {
  const memory = new Uint32Array(memoryPages * pageWords);
  const write = (page: number, count: number): void => {
    for (let word = page * pageWords; word < (page + 1) * pageWords; word += 1)
      memory[word] = Math.imul(count, 2654435761) ^ Math.imul(word, 2246822507);
  };
  const sum = (): string => {
    const turned = (word: number): number => (word << 5) | (word >>> 27);
    const all = memory.reduce((hash, word) => Math.imul(turned(hash ^ word), 16777619), 2166136261);
    return (all >>> 0).toString(16).padStart(8, '0');
  };
  for (let page = 0; page < memoryPages; page += 1) write(page, 0);
  const found = [sum()];
  for (let count = 1; count <= most; count += 1) {
    write(count % memoryPages, count);
    found.push(sum());
  }
  return found;
}
