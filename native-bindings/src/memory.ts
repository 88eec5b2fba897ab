// SPDX-License-Identifier: Apache-2.0
/** The memory group of the face; see `face.ts` for each call. */
import {
  booleanOf,
  bytesOf,
  fdOf,
  functionOf,
  integerOf,
  multipleOf,
  offsetOf,
  optionsOf,
  shortTextOf,
} from './arguments.ts';
import type { Memory } from './face.ts';
import { addon } from './load.ts';
import { OwnedDescriptor } from './owned-descriptor.ts';

const raw = addon.memory;

/** Longest name of a memfd in bytes (memfd_create(2)). */
const longestMemfdName = 249;

/** The most one read or write system call moves, in bytes (read(2)). */
const mostRead = 0x7ffff000;

/** A huge page, in bytes (x86-64, and arm64 with small pages of 4 KiB). */
const hugePageBytes = 2 << 20;

/** The most that one call collapses or allocates, in bytes: a thread is busy with it until it is done. */
const mostAtOnce = 1 << 30;

export const memory: Memory = {
  memfdCreate(name, options) {
    const { allowSealing = false, hugetlb = false } = optionsOf(options, 'options', [
      'allowSealing',
      'hugetlb',
    ]);
    const fd = raw.memfdCreate(
      shortTextOf(name, 'name', longestMemfdName),
      booleanOf(allowSealing, 'options.allowSealing'),
      booleanOf(hugetlb, 'options.hugetlb'),
    );
    return new OwnedDescriptor(fd, `memfdCreate(${JSON.stringify(name)})`);
  },

  async allocate(file, offset, bytes) {
    const wanted = integerOf(bytes, 'bytes', 1, mostAtOnce);
    await raw.allocate(fdOf(file, 'file'), offsetOf(offset, 'offset'), BigInt(wanted));
  },

  truncate(file, size) {
    raw.truncate(fdOf(file, 'file'), offsetOf(size, 'size'));
  },

  getSeals(file) {
    return raw.getSeals(fdOf(file, 'file'));
  },

  addSeals(file, seals) {
    raw.addSeals(fdOf(file, 'file'), integerOf(seals, 'seals', 0, 0xffff_ffff));
  },

  fileFacts(file) {
    return raw.fileFacts(fdOf(file, 'file'));
  },

  async sha256(file, options) {
    const { onProgress } = optionsOf(options, 'options', ['onProgress']);
    if (onProgress !== undefined) functionOf(onProgress, 'options.onProgress');
    const digest = raw.openDigest(fdOf(file, 'file'));
    try {
      for (;;) {
        const step = await raw.stepDigest(digest);
        if (typeof step === 'string') return step;
        onProgress?.(step);
      }
    } finally {
      raw.closeDigest(digest);
    }
  },

  async collapse(file, offset, bytes) {
    return await raw.collapse(
      fdOf(file, 'file'),
      multipleOf(offsetOf(offset, 'offset'), 'offset', hugePageBytes),
      multipleOf(integerOf(bytes, 'bytes', hugePageBytes, mostAtOnce), 'bytes', hugePageBytes),
    );
  },

  async hugeBytes(file) {
    return await raw.hugeBytes(fdOf(file, 'file'));
  },

  async releaseUnused() {
    await raw.releaseUnused();
  },

  async populatePrograms() {
    await raw.populatePrograms();
  },

  read(file, offset, length) {
    const buffer = Buffer.allocUnsafe(integerOf(length, 'length', 0, mostRead));
    const bytes = raw.readInto(fdOf(file, 'file'), offsetOf(offset, 'offset'), buffer);
    return buffer.subarray(0, bytes);
  },

  write(file, offset, data) {
    raw.write(fdOf(file, 'file'), offsetOf(offset, 'offset'), bytesOf(data, 'data'));
  },
};
