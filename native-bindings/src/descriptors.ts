// SPDX-License-Identifier: Apache-2.0
/** The descriptors group of the face; see `face.ts` for each call. */
import { booleanOf, fdOf, integerOf, wrongType } from './arguments.ts';
import type { Descriptors } from './face.ts';
import { addon } from './load.ts';
import { OwnedDescriptor, whenceOf } from './owned-descriptor.ts';

const raw = addon.descriptors;

/** Largest process number and descriptor number: both are C ints. */
const mostInt = 2 ** 31 - 1;

export const descriptors: Descriptors = {
  duplicate(file) {
    const fd = fdOf(file, 'file');
    return new OwnedDescriptor(raw.duplicate(fd), `duplicate(${fd})`, whenceOf(file));
  },

  takeOwnership(fd) {
    raw.flags(integerOf(fd, 'fd', 0, mostInt));
    return new OwnedDescriptor(fd, `takeOwnership(${fd})`);
  },

  close(fd) {
    raw.close(integerOf(fd, 'fd', 0, mostInt));
  },

  async closeAside(file) {
    if (!(file instanceof OwnedDescriptor)) throw wrongType('file', 'a descriptor', file);
    if (!file.closed) await raw.closeAside(file.release());
  },

  setCloseOnExec(file, on) {
    raw.setCloseOnExec(fdOf(file, 'file'), booleanOf(on, 'on'));
  },

  pidfdOpen(pid) {
    return new OwnedDescriptor(raw.pidfdOpen(integerOf(pid, 'pid', 1, mostInt)), `pidfdOpen(${pid})`);
  },

  pidfdGetfd(pidfd, fd) {
    const copy = raw.pidfdGetfd(fdOf(pidfd, 'pidfd'), integerOf(fd, 'fd', 0, mostInt));
    return new OwnedDescriptor(copy, `pidfdGetfd(${fd})`, 'outside');
  },
};
