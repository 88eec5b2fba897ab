// SPDX-License-Identifier: Apache-2.0
/** The kernel group of the face; see `face.ts` for each call. */
import { choiceOf, fdOf, textOf } from './arguments.ts';
import type { KernelControl } from './face.ts';
import { addon } from './load.ts';

const raw = addon.kernel;

const clockNames = {
  realtime: raw.CLOCK_REALTIME,
  boottime: raw.CLOCK_BOOTTIME,
  monotonic: raw.CLOCK_MONOTONIC,
};

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

  clock(which) {
    return raw.clock(choiceOf(which, 'which', clockNames));
  },

  counter() {
    return raw.counter();
  },
};
