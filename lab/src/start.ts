// SPDX-License-Identifier: Apache-2.0
/**
 * Brings a host up by name. It is made if it does not exist, and switched on if it has no power. A running one is used
 * as it is. A new one boots from cold, or goes on from the snapshot of one that has booted.
 */

import { copyFile, readFile } from 'node:fs/promises';
import type { Boot } from './boot.ts';
import { exists } from './cache.ts';
import { createHost } from './create.ts';
import { LabHost } from './host.ts';
import { buildImage, type Suite } from './image.ts';
import { withLock } from './lock.ts';
import { booted, powerOn } from './power.ts';
import { type OnProgress, silent, step } from './progress.ts';
import { isRunning } from './qemu.ts';
import {
  defaultMemoryMiB,
  type HostFiles,
  type HostSettings,
  hostFiles,
  hostLock,
  parseMemory,
  readSettings,
  type Wire,
} from './settings.ts';
import { buildSnapshot, startFromSnapshot } from './snapshot.ts';

export interface StartOptions {
  /** Up to 31 of a-z, 0-9 and -, beginning with a letter. `lab` if not given. */
  readonly name?: string | undefined;
  readonly suite?: Suite | undefined;
  /** Such as `2G`. */
  readonly memory?: string | undefined;
  /** A bzImage to boot instead of the lab's kernel "-a". */
  readonly kernel?: string | undefined;
  /** The agent's package to install. */
  readonly deb?: string | undefined;
  /** Throw away a host of this name first, with its disk. */
  readonly fresh?: boolean | undefined;
  /** Begin from a host that was booted before, instead of booting: for a new one, with the lab's kernel. */
  readonly fromSnapshot?: boolean | undefined;
  /** Added to the kernel's command line; the last of several equal parameters wins. */
  readonly kernelArguments?: readonly string[] | undefined;
  /** Gives it a second network card. */
  readonly wire?: Wire | undefined;
  readonly onProgress?: OnProgress | undefined;
}

export const defaultName = 'lab';

/**
 * The host of this name, up and answering.
 *
 * @throws RangeError for a name, suite or memory that cannot be, or that the existing host of this
 *   name does not have
 * @throws BootError, with the end of the serial console, when it does not come up
 */
export async function startHost(options: StartOptions = {}): Promise<LabHost> {
  const { name = defaultName, onProgress = silent } = options;
  const files = hostFiles(name);
  const host = new LabHost(name);
  if (options.kernel !== undefined && !(await exists(options.kernel))) {
    throw new Error(`kernel ${options.kernel}: no such file, expected a bzImage`);
  }
  if (options.fresh) await host.down();
  await withLock(hostLock(name), async () => {
    const existing = await readSettings(name);
    if (existing) requireSame(existing, options);
    if (existing && (await isRunning(files))) {
      await requireSameKernel(name, files, options.kernel);
      await booted(files, name);
      return;
    }
    if (!existing) return begin(host, files, options, onProgress);
    if (options.kernel !== undefined) await copyFile(options.kernel, files.kernel);
    const boot = await step(onProgress, `boot ${name}`, () => powerOn(files, existing));
    await requireAgent(host, boot);
  });
  return host;
}

/**
 * The handle of a host that exists, running or not.
 *
 * @throws Error if no host has this name
 */
export async function findHost(name = defaultName): Promise<LabHost> {
  if (await readSettings(name)) return new LabHost(name);
  throw new Error(`there is no host ${name}; \`up --name ${name}\` makes one`);
}

/** Makes a host, and lets it run. */
async function begin(
  host: LabHost,
  files: HostFiles,
  options: StartOptions,
  onProgress: OnProgress,
): Promise<void> {
  const { suite = 'sid', memory, deb, kernelArguments = [], wire } = options;
  const memoryMiB = memory === undefined ? defaultMemoryMiB : parseMemory(memory);
  const image = await buildImage({ suite, deb, onProgress });
  if (options.fromSnapshot) {
    if (options.kernel !== undefined || kernelArguments.length > 0 || wire !== undefined) {
      throw new RangeError(`host ${host.name}: a snapshot is of the lab's own kernel, arguments and network`);
    }
    const snapshot = await buildSnapshot(image, memoryMiB, onProgress);
    await step(onProgress, `start ${host.name}`, () => startFromSnapshot(snapshot, host.name));
  } else {
    const kernel = options.kernel ?? image.kernels.a.image;
    const { name } = host;
    const settings = await createHost(files, {
      ...{ name, image, memoryMiB, kernel, kernelArguments, wire },
    });
    await step(onProgress, `boot ${name}`, () => powerOn(files, settings));
  }
  await requireAgent(host, await host.boot());
}

/** A host is not quietly something else than what was asked for. */
function requireSame(settings: HostSettings, { suite, memory }: StartOptions): void {
  const differ = (what: string, has: string, wanted: string): never => {
    throw new RangeError(
      `host ${settings.name} has ${what} ${has}, not ${wanted}; \`down --name ${settings.name}\` first, or take another name`,
    );
  };
  if (suite !== undefined && suite !== settings.suite) differ('suite', settings.suite, suite);
  if (memory !== undefined && parseMemory(memory) !== settings.memoryMiB) {
    differ('memory', `${settings.memoryMiB}M`, memory);
  }
}

/** A running host cannot be given another kernel by `up`; one without power gets it when it is switched on. */
async function requireSameKernel(name: string, files: HostFiles, wanted: string | undefined): Promise<void> {
  if (wanted === undefined) return;
  const [has, asked] = await Promise.all([readFile(files.kernel), readFile(wanted)]);
  if (has.equals(asked)) return;
  throw new RangeError(
    `host ${name} runs with another kernel than ${wanted}; \`power-cut --name ${name}\` first, or update it`,
  );
}

/** An installed agent that does not answer is a failed start; its own log says why. The host goes on. */
async function requireAgent(host: LabHost, boot: Boot): Promise<void> {
  if (boot.agent !== 'silent') return;
  const status =
    'systemctl status --no-pager --full --lines=40 luo-console-agent.socket luo-console-agent.service';
  const { stdout } = await host.sh(status);
  throw new Error(`host ${host.name} is up, but its agent does not answer:\n${stdout}`);
}
