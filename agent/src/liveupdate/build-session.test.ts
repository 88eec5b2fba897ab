// SPDX-License-Identifier: Apache-2.0
/** Building a session again whose devices the kernel refuses this time. */
import { type Native, native as realNative } from '@luo-console/native';
import { LiveUpdateDouble } from '@luo-console/native/double';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { HostPaths } from '../host/paths.ts';
import { Unended } from '../host/unended.ts';
import type { Journal } from '../journal/index.ts';
import { buildSession, makeSession, takeApart } from './build-session.ts';
import { DescriptorStore } from './descriptor-store.ts';
import { Device } from './device.ts';
import type { HeldSession } from './held-session.ts';
import type { LiveUpdateContext } from './live-update-context.ts';
import { preserveInto } from './preserve.ts';
import { newEntry } from './session-entries.ts';

const path = '/dev/made-up';
let double: LiveUpdateDouble;
let context: LiveUpdateContext;
let session: HeldSession;

/** A memfd in the session, entered as a file of this kind. */
async function preserveAs(kind: 'memfd' | 'other', token: bigint): Promise<void> {
  const file = context.native.memory.memfdCreate(kind);
  const request = { token, label: kind, source: 'test' };
  const none = { size: 0, inode: 0, device: 0, regular: true, characterDevice: null };
  const description = { kind, name: kind, ...none };
  const entry = newEntry(token, session.manifest?.nextOrder ?? 0, request, description, 1);
  expect(await preserveInto(context, session, [{ token, file, entry }])).toEqual([null]);
}

beforeEach(async () => {
  double = new LiveUpdateDouble({ path });
  const native: Native = {
    ...realNative,
    liveUpdate: double,
    serviceManager: { notify: () => false, takeListenFds: () => [] },
  };
  const paths = { device: path, proc: '/proc' } as HostPaths;
  const patience = { firstMs: 1, totalMs: 5 };
  const explain = async () => ({ availability: 'available' as const, explanation: '' });
  context = {
    ...{ native, paths, patience, nowUs: () => 1 },
    device: new Device(double, paths, explain, patience),
    store: new DescriptorStore(native, null),
    journal: {} as Journal,
    kernelLog: { mark: () => 0, since: () => [] },
    unended: new Unended(() => {}),
  };
  session = await makeSession(context, 's', 'test', null);
  await preserveAs('memfd', 1n);
  await preserveAs('other', 2n);
});
afterEach(() => {
  session.release();
  double[Symbol.dispose]();
});

/** The kernel refuses a token from now on. */
function refuse(token: bigint): void {
  const { preserveFd } = double;
  vi.spyOn(double, 'preserveFd').mockImplementation(async (...given) => {
    if (given[2] !== token) return await preserveFd.apply(double, given);
    throw Object.assign(new Error('preserveFd: ENXIO'), { code: 'ENXIO', errno: 6, syscall: 'ioctl' });
  });
}

it('a device that is refused this time is held without being preserved, and the memory is preserved', async () => {
  refuse(2n);
  await takeApart(context, session);
  await buildSession(context, session);
  expect(session.unbuilt).toBe(false);
  expect([...session.refused.keys()]).toEqual([2n]);
  expect(session.manifest?.entries().map(({ label, state }) => [label, state])).toEqual([
    ['memfd', 'preserved'],
    ['other', 'intended'],
  ]);
  expect(session.files.size).toBe(2);
});

it('memory that is refused leaves the session unbuilt, with all of its files held', async () => {
  refuse(1n);
  await takeApart(context, session);
  await expect(buildSession(context, session)).rejects.toMatchObject({ refusal: 'KernelCallFailed' });
  expect(session.unbuilt).toBe(true);
  expect(session.files.size).toBe(2);
});
