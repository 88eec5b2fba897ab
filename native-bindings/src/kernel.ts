// SPDX-License-Identifier: Apache-2.0
/** The kernel group of the face; see `face.ts` for each call. */
import { choiceOf, fdOf, textOf, wrongType } from './arguments.ts';
import type { Descriptor, KernelControl } from './face.ts';
import { addon } from './load.ts';
import { OwnedDescriptor } from './owned-descriptor.ts';

const raw = addon.kernel;

const clockNames = {
  realtime: raw.CLOCK_REALTIME,
  boottime: raw.CLOCK_BOOTTIME,
  monotonic: raw.CLOCK_MONOTONIC,
};

/** The number, which is the addon's to close from now on. @throws TypeError */
function givenAway(file: Descriptor): number {
  if (!(file instanceof OwnedDescriptor)) throw wrongType('file', 'a descriptor', file);
  return file.release();
}

export const kernel: KernelControl = {
  async kexecFileLoad(kernelFile, initrd, commandLine) {
    const initrdFd = initrd === null ? null : fdOf(initrd, 'initrd');
    await raw.kexecFileLoad(fdOf(kernelFile, 'kernel'), initrdFd, textOf(commandLine, 'commandLine'));
  },

  async kexecUnload() {
    await raw.kexecUnload();
  },

  kexecLoaded() {
    return raw.kexecLoaded();
  },

  async rebootKexec() {
    return await raw.rebootKexec();
  },

  async sync() {
    await raw.sync();
  },

  async syncFileSystem(file) {
    await raw.syncFileSystem(givenAway(file));
  },

  async syncBlockDevice(file) {
    await raw.syncBlockDevice(givenAway(file));
  },

  clock(which) {
    return raw.clock(choiceOf(which, 'which', clockNames));
  },

  counter() {
    return raw.counter();
  },
};
