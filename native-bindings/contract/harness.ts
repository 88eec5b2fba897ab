// SPDX-License-Identifier: Apache-2.0
/**
 * The two sides that the contract is checked on, and the small tools that its cases share.
 *
 * A case is a name and a function; it throws if the behaviour is not there. The same cases run under vitest on the
 * double. Bundled into one file, they also run inside a host with a real `/dev/liveupdate`, without a test runner. So
 * they use `node:assert` and nothing else.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Descriptor, LiveUpdate, Native, SystemError } from '../src/face.ts';

export interface Harness {
  readonly liveUpdate: LiveUpdate;
  /** Files, sockets and descriptors: real on both sides. */
  readonly native: Native;
  /** A directory on tmpfs, for linked and unlinked files. */
  readonly tmpfsDirectory: string;
  /** A directory on a disk's file system. */
  readonly diskDirectory: string;
  /** Put before every session name, so that runs do not meet each other's sessions. */
  readonly prefix: string;
}

export interface ContractCase {
  readonly name: string;
  /** Why only a kernel can show it; absent if the double shows it too. */
  readonly kernelOnly?: string;
  run(harness: Harness): Promise<void>;
}

const openAttempts = 200;
const betweenAttemptsMs = 50;

/**
 * Opens the device. Others on the host open it for moments at a time and the kernel has no way to wait for it,
 * so `EBUSY` is tried again for a while.
 */
export async function openDevice(harness: Harness): Promise<Descriptor> {
  for (let attempt = 1; ; attempt++) {
    try {
      return harness.liveUpdate.openDevice();
    } catch (error) {
      if ((error as SystemError).code !== 'EBUSY' || attempt === openAttempts) throw error;
      await new Promise((resolve) => setTimeout(resolve, betweenAttemptsMs));
    }
  }
}

/** Creates a session named with the harness's prefix; the device is closed again. */
export async function newSession(harness: Harness, name: string): Promise<Descriptor> {
  using device = await openDevice(harness);
  return harness.liveUpdate.createSession(device, harness.prefix + name);
}

/** Expects `act` to fail with `code`, and says with what it failed otherwise. */
export async function expectCode(code: string, act: () => unknown): Promise<SystemError> {
  try {
    await act();
  } catch (error) {
    const got = error as SystemError;
    assert.equal(got.code, code, `expected ${code}, got: ${got.message}`);
    assert.ok(got.errno > 0, `errno must be positive, not ${got.errno}`);
    assert.match(got.syscall, /^(open|ioctl\(LIVEUPDATE_)/);
    return got;
  }
  assert.fail(`expected ${code}, but it succeeded`);
}

/** `length` bytes that follow from `seed`, the same on every machine. */
export function patternBytes(seed: string, length: number): Buffer {
  const block = createHash('sha512').update(seed).digest();
  const bytes = Buffer.alloc(length);
  for (let offset = 0, count = 0; offset < length; offset += block.length, count++) {
    block.writeUInt32LE(count, 0);
    block.copy(bytes, offset);
  }
  return bytes;
}

/** A memfd holding `patternBytes(seed, length)`. */
export function filledMemfd(harness: Harness, seed: string, length = 8192): Descriptor {
  const file = harness.native.memory.memfdCreate(seed, { allowSealing: true });
  if (length > 0) harness.native.memory.write(file, 0n, patternBytes(seed, length));
  return file;
}

export function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
