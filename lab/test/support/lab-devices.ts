// SPDX-License-Identifier: Apache-2.0
/**
 * The lab's own devices (`/dev/luo_lab/NAME`, see lab/kernel/driver), from outside the host. Runs scripts of steps on
 * sessions, sets the switches in debugfs, and reads the driver's lines in the kernel log.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import type { LabHost } from '../../src/index.ts';
import { run } from './memory.ts';
import type { Step, StepResult } from './session-steps.ts';

const addonPath = fileURLToPath(
  new URL('../../../native-bindings/build/Release/luo_native.node', import.meta.url),
);
const nodeInHost = '/usr/lib/luo-console-agent/node';
const stepsProgram = '/root/session-steps.mjs';
const lockScript = '/root/steps.json';
export const debugfsDirectory = '/sys/kernel/debug/luo_lab';

/** A line of the driver's log. */
export interface Callback {
  /** Counts callbacks since the kernel booted. */
  readonly number: number;
  /** Device and operation, such as `iommu0 preserve`. */
  readonly call: string;
  /** 0 or a negative errno. */
  readonly result: number;
  /** Why it failed; empty if that needs no words. */
  readonly why: string;
}

/** Puts the program that performs steps into the host. */
export async function installSteps(host: LabHost): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'luo-steps-'));
  const bundle = join(directory, 'session-steps.mjs');
  const input = fileURLToPath(new URL('session-steps.ts', import.meta.url));
  const build = await rolldown({ input, platform: 'node' });
  await build.write({ file: bundle, format: 'esm' });
  await build.close();
  await host.copyIn([bundle, addonPath], '/root');
  await rm(directory, { recursive: true });
}

/** Performs steps in one process, which is gone afterwards; one result a step. */
export async function perform(host: LabHost, steps: readonly Step[]): Promise<readonly StepResult[]> {
  const { code, stdout, stderr } = await host.sh([nodeInHost, stepsProgram], {
    input: JSON.stringify(steps),
  });
  if (code !== 0) throw new Error(`steps in ${host.name}: exit status ${code}\n${stdout}${stderr}`);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as StepResult);
}

/** Performs steps the last of which jumps into another kernel, and waits until that is up. */
export async function performAndJump(host: LabHost, steps: readonly Step[]): Promise<void> {
  const bootId = await host.bootId();
  const written = await host.sh(`cat > ${lockScript}`, { input: JSON.stringify(steps) });
  if (written.code !== 0) throw new Error(`${lockScript} in ${host.name}: ${written.stderr}`);
  // The connection ends with the kernel, so only the boot after it says how this went.
  await host.sh(['systemd-run', '--quiet', nodeInHost, stepsProgram, lockScript]);
  await host.waitForBoot(bootId);
}

/** All callbacks since the kernel booted, oldest first. */
export async function callbacks(host: LabHost): Promise<readonly Callback[]> {
  const pattern = /luo_lab: #(\d+) (\S+ \S+): (-?\d+)(?: \((.*)\))?$/gm;
  return [...(await run(host, 'dmesg')).matchAll(pattern)].map(([, number, call = '', result, why = '']) => ({
    number: Number(number),
    call,
    result: Number(result),
    why,
  }));
}

/** The delays the driver took since the kernel booted, oldest first: `iommu0 freeze waits 700 ms`. */
export async function delays(host: LabHost): Promise<readonly string[]> {
  return [...(await run(host, 'dmesg')).matchAll(/luo_lab: (\S+ \S+ waits \d+ ms)$/gm)].map(
    ([, line = '']) => line,
  );
}

/** Performs steps and says what the driver was called for meanwhile. */
export async function performAndLog(
  host: LabHost,
  steps: readonly Step[],
): Promise<{ results: readonly StepResult[]; log: readonly Callback[] }> {
  const before = (await callbacks(host)).at(-1)?.number ?? 0;
  const results = await perform(host, steps);
  return { results, log: (await callbacks(host)).filter(({ number }) => number > before) };
}

/** The state shared by all deviceN: its fields by name for a side that has one, `none` for one that has not. */
export function sharedState(text: string, side: 'incoming' | 'outgoing'): Record<string, string> | 'none' {
  const line = new RegExp(`^${side} (.*)$`, 'm').exec(text)?.[1];
  if (line === undefined) throw new Error(`shared state: no line for ${side} in ${JSON.stringify(text)}`);
  if (line === 'none') return 'none';
  return Object.fromEntries(line.split(' ').map((field) => field.split('=', 2)));
}
