// SPDX-License-Identifier: Apache-2.0
/** Preserving with a limit, on the double. */
import { setTimeout as delay } from 'node:timers/promises';
import { native } from '@luo-console/native';
import { LiveUpdateDouble } from '@luo-console/native/double';
import { expect, it, vi } from 'vitest';
import { Unended } from '../host/unended.ts';
import { usualPatience } from './device.ts';
import { NotPreservedInTime, preserveInTime, preserveLimitMs } from './preserve-in-time.ts';

const limit = { limitMs: 5 };
const unended = new Unended(() => {});
const noMemory = Object.assign(new Error('no memory'), { code: 'ENOMEM', errno: 12, syscall: 'ioctl' });

it('preserves, and says what the kernel says', async () => {
  using double = new LiveUpdateDouble();
  using device = double.openDevice();
  using session = double.createSession(device, 'session');
  using file = native.memory.memfdCreate('file');
  const given = { liveUpdate: double, memory: native.memory, unended };
  await preserveInTime(given, session, file, 1n);
  await expect(preserveInTime(given, session, file, 1n)).rejects.toMatchObject({ code: 'EEXIST' });
});

it('asks again when a page could not be moved out of the scratch areas for the moment', async () => {
  using double = new LiveUpdateDouble();
  using device = double.openDevice();
  using session = double.createSession(device, 'session');
  using file = native.memory.memfdCreate('file');
  const asked = vi.spyOn(double, 'preserveFd').mockRejectedValueOnce(noMemory);
  await preserveInTime({ liveUpdate: double, memory: native.memory, unended }, session, file, 1n);
  expect(asked).toHaveBeenCalledTimes(2);
});

it('asks no more once its limit has passed', async () => {
  using double = new LiveUpdateDouble();
  using file = native.memory.memfdCreate('file');
  const answer = Promise.withResolvers<never>();
  const asked = vi.spyOn(double, 'preserveFd').mockReturnValue(answer.promise);
  const preserving = preserveInTime(
    { liveUpdate: double, memory: native.memory, unended },
    file,
    file,
    1n,
    limit,
  );
  await expect(preserving).rejects.toThrow(NotPreservedInTime);
  answer.reject(noMemory);
  // It would have asked again after the first pause, which is shorter.
  await delay(3 * usualPatience.firstMs);
  expect(asked).toHaveBeenCalledTimes(1);
});

it('waits no longer than the limit for a kernel that does not come back', async () => {
  using double = new LiveUpdateDouble();
  using file = native.memory.memfdCreate('file');
  vi.spyOn(double, 'preserveFd').mockReturnValue(new Promise(() => {}));
  const preserving = preserveInTime(
    { liveUpdate: double, memory: native.memory, unended },
    file,
    file,
    1n,
    limit,
  );
  await expect(preserving).rejects.toThrow(NotPreservedInTime);
  await expect(preserving).rejects.toThrow('the kernel did not preserve it within 5 ms');
});

it('is not waited for once the signal fires, and is not asked again', async () => {
  using double = new LiveUpdateDouble();
  using file = native.memory.memfdCreate('file');
  const answer = Promise.withResolvers<never>();
  const asked = vi.spyOn(double, 'preserveFd').mockReturnValue(answer.promise);
  const abort = new AbortController();
  const waiting = { signal: abort.signal };
  const preserving = preserveInTime(
    { liveUpdate: double, memory: native.memory, unended },
    file,
    file,
    1n,
    waiting,
  );
  abort.abort(new Error('stopped for too long'));
  await expect(preserving).rejects.toThrow('stopped for too long');
  expect(unended.left).toContain('preserving a file for the update');
  answer.reject(noMemory);
  await delay(3 * usualPatience.firstMs);
  expect(asked).toHaveBeenCalledTimes(1);
});

it('gives a large file more time', () => {
  expect(preserveLimitMs(0n)).toBe(10_000);
  expect(preserveLimitMs(64n << 30n)).toBe(10_000 + 4 * 65_536);
});
