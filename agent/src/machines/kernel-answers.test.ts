// SPDX-License-Identifier: Apache-2.0
/** Asking the kernel whether it would preserve a kind of file, once for each kind. */
import { openSync } from 'node:fs';
import { native } from '@luo-console/native';
import { LiveUpdateDouble } from '@luo-console/native/double';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Unended } from '../host/unended.ts';
import { KernelAnswers } from './kernel-answers.ts';

const device = '/dev/liveupdate';
let double: LiveUpdateDouble;
let sessions: number;
let mayAsk: boolean;
let take: () => number;

beforeEach(() => {
  double = new LiveUpdateDouble({ path: device });
  sessions = 0;
  mayAsk = true;
  // A file that has no handler, as kvm's have none.
  take = () => openSync('/dev/null', 'r');
});
afterEach(() => double[Symbol.dispose]());

const unended = new Unended(() => {});
const answers = () =>
  new KernelAnswers({
    native: { ...native, liveUpdate: double },
    unended,
    mayAsk: () => mayAsk,
    take: () => native.descriptors.takeOwnership(take()),
    openSession: async () => {
      sessions += 1;
      using opened = double.openDevice(device);
      return double.createSession(opened, 'question');
    },
  });

const example = { pid: 42, fd: 7 };

describe('what the kernel says of a kind of file', () => {
  it('is its refusal, or that it has a handler', async () => {
    const kernel = answers();
    expect(await kernel.about('kvm_vm', example)).toEqual({ accepts: false, errno: 'ENOENT' });
    expect(await kernel.about('socket', example)).toEqual({ accepts: false, errno: 'ENOENT' });
    expect(await kernel.about('memfd', example)).toEqual({ accepts: true, errno: null });
  });

  it('is asked once for each kind, however many ask at once, and leaves no session', async () => {
    const kernel = answers();
    const all = Array.from({ length: 1000 }, () => kernel.about('eventfd', example));
    expect(new Set((await Promise.all(all)).map((answer) => answer?.errno))).toEqual(new Set(['ENOENT']));
    await kernel.about('kvm_vcpu', example);
    expect(sessions).toBe(2);
    using opened = double.openDevice(device);
    // The name is free again.
    double.createSession(opened, 'question').close();
  });

  it('is not asked where that would cost something', async () => {
    const kernel = answers();
    for (const kind of ['vfio_device', 'iommufd', 'guest_memfd', 'tmpfs_linked', 'disk'] as const)
      expect(await kernel.about(kind, example)).toBe(null);
    expect(await kernel.about('kvm_vm', { pid: 42, fd: null })).toBe(null);
    expect(sessions).toBe(0);
  });

  it('is waited for once, not for each kind, while there is no session to be had', async () => {
    const kernel = answers();
    double.openFailure = 'EBUSY';
    const kinds = ['memfd', 'eventfd', 'kvm_vm', 'tap'] as const;
    const all = await Promise.all(kinds.map((kind) => kernel.about(kind, example)));
    expect(all).toEqual([null, null, null, null]);
    expect(sessions).toBe(1);
  });

  it('is not waited for where the kernel does not come back, and is not asked again at once', async () => {
    const kernel = answers();
    const back = Promise.withResolvers<void>();
    vi.spyOn(double, 'preserveFd').mockImplementationOnce(() => back.promise);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const asking = kernel.about('memfd', example);
    await vi.waitFor(() => expect(sessions).toBe(1));
    await vi.advanceTimersByTimeAsync(5000);
    expect(await asking).toBe(null);
    expect(unended.left).toEqual(['asking the kernel what it preserves']);
    expect(await kernel.about('eventfd', example)).toBe(null);
    expect(sessions).toBe(1);
    back.resolve();
    await vi.waitFor(() => expect(unended.left).toEqual([]));
  });

  it('is asked again when it could not be: during an update, or of a process that went', async () => {
    const kernel = answers();
    mayAsk = false;
    expect(await kernel.about('memfd', example)).toBe(null);
    mayAsk = true;
    expect(await kernel.about('memfd', example)).toMatchObject({ accepts: true });
    take = () => 2 ** 20;
    expect(await kernel.about('tap', example)).toBe(null);
    take = () => openSync('/dev/null', 'r');
    expect(await kernel.about('tap', example)).toMatchObject({ errno: 'ENOENT' });
  });
});
