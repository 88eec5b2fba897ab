// SPDX-License-Identifier: Apache-2.0
/**
 * Making a host: everything it consists of before it is switched on for the first time. The image and the kernel become
 * part of the host, by a hard link where the file systems allow it. So cleaning the cache takes nothing from a host.
 */

import { randomUUID } from 'node:crypto';
import { copyFile, link, mkdir, rm } from 'node:fs/promises';
import { createKeys } from './access.ts';
import { command } from './command.ts';
import type { Image } from './image.ts';
import { createDisk, freePort } from './qemu.ts';
import { type HostFiles, type HostSettings, type Wire, writeSettings } from './settings.ts';

/** What a host is made of. */
export interface Making {
  readonly name: string;
  readonly image: Image;
  readonly memoryMiB: number;
  /** The bzImage that it boots. */
  readonly kernel: string;
  readonly kernelArguments: readonly string[];
  readonly wire?: Wire | undefined;
}

/** Makes the files of a host, in place of any that there are. It has no power afterwards. */
export async function createHost(files: HostFiles, making: Making): Promise<HostSettings> {
  const { name, image, memoryMiB, kernel, kernelArguments, wire } = making;
  await rm(files.directory, { recursive: true, force: true });
  await mkdir(files.directory, { recursive: true, mode: 0o700 });
  await shareFile(image.path, files.image);
  await copyFile(kernel, files.kernel);
  await createKeys(files, name);
  await createDisk(files, 'root.img', 'raw');
  const settings = {
    ...{ name, suite: image.suite, memoryMiB, kernel, kernelArguments, wire },
    ...{ uuid: randomUUID(), sshPort: await freePort() },
  };
  await writeSettings(settings);
  return settings;
}

/**
 * Makes a file part of a host: under a second name where that can be, else by copying, which takes longer and
 * leaves its holes holes.
 */
export async function shareFile(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    await command('cp', ['--sparse=always', '--reflink=auto', from, to]);
  }
}
