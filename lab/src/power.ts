// SPDX-License-Identifier: Apache-2.0
/**
 * Switching a host on. Another process may take the port after it was chosen and before QEMU takes it. QEMU then ends
 * at once and says so, and the next port is tried. A host whose boot failed is switched off again: a kernel that panics
 * would otherwise start over for ever.
 */

import { appendFile } from 'node:fs/promises';
import { writeSshConfig } from './access.ts';
import { type Boot, BootError, logEnds, notePowerOn, sincePowerOn, waitForBoot } from './boot.ts';
import { freePort, isRunning, killQemu, startQemu } from './qemu.ts';
import { type HostFiles, type HostSettings, writeSettings } from './settings.ts';

const portAttempts = 5;

/**
 * Starts QEMU for a host and waits until the host is up.
 *
 * @param files the host's files; its disk and kernel are there
 * @param stored what it was created with
 * @throws BootError when it does not come up
 */
export async function powerOn(files: HostFiles, stored: HostSettings): Promise<Boot> {
  if (await isRunning(files)) throw new Error(`host ${stored.name} has power already`);
  await appendFile(files.serialLog, '');
  await notePowerOn(files);
  const since = await logEnds(files);
  return onFreePort(files, stored, async (settings) => {
    const { ended } = await startQemu(files, settings);
    return waitForBoot(settings.name, files, { since, failOnPanic: true }, ended);
  });
}

/**
 * Starts a host's QEMU on a port that is free: on the one it had, or on another as often as somebody else takes it.
 *
 * @param start starts QEMU and waits until the host is up
 * @returns what that returns
 * @throws what that throws, with the power off again
 */
export async function onFreePort<Result>(
  files: HostFiles,
  stored: HostSettings,
  start: (settings: HostSettings) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    const settings = { ...stored, sshPort: await freePort(attempt === 1 ? stored.sshPort : undefined) };
    await writeSettings(settings);
    await writeSshConfig(files, settings);
    try {
      return await start(settings);
    } catch (error) {
      await killQemu(files);
      const portTaken = error instanceof BootError && /host forwarding rule/.test(error.message);
      if (!portTaken || attempt === portAttempts) throw error;
    }
  }
}

/**
 * Waits until a host that has power has completed a boot since it was switched on: the process that did so may not have
 * waited.
 */
export async function booted(files: HostFiles, name: string): Promise<Boot> {
  const { serial } = await logEnds(files);
  return waitForBoot(name, files, {
    since: { serial, events: await sincePowerOn(files) },
    failOnPanic: true,
  });
}
