// SPDX-License-Identifier: Apache-2.0
/** Many preserves that are asked for at once, on the in-memory kernel. What a client sees is in `agent/test/sessions.test.ts`. */
import { type Native, native as realNative } from '@luo-console/native';
import { LiveUpdateDouble } from '@luo-console/native/double';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { HostPaths } from '../host/paths.ts';
import { Unended } from '../host/unended.ts';
import { Journal } from '../journal/index.ts';
import { makeSession } from './build-session.ts';
import { DescriptorStore } from './descriptor-store.ts';
import { Device } from './device.ts';
import type { HeldSession } from './held-session.ts';
import { agentItself, type LiveUpdateContext } from './live-update-context.ts';
import { PreserveQueue } from './preserve-queue.ts';
import { PreservedIndex } from './session-entries.ts';

const path = '/dev/made-up';
let double: LiveUpdateDouble;
let session: HeldSession;
let queue: PreserveQueue;
let journal: Journal;

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
  journal = new Journal(':memory:', {
    ...{ bootId: 'this', phase: () => 'normal', update: () => null },
    ...{ nowUs: () => 1, steadyUs: () => 1, notWritten: () => {} },
  }).open();
  const context: LiveUpdateContext = {
    ...{ native, paths, patience, journal, nowUs: () => 1 },
    device: new Device(double, paths, explain, patience),
    store: new DescriptorStore(native, null),
    kernelLog: { mark: () => 0, since: () => [] },
    unended: new Unended(() => {}),
  };
  session = await makeSession(context, 's', 'test', null);
  queue = new PreserveQueue({
    ...{ context, preserved: new PreservedIndex(() => [session], native.memory) },
    carryOn: async () => {},
    changed: () => {},
  });
});
afterEach(() => {
  session.release();
  double[Symbol.dispose]();
  journal.close();
});

it('preserves all that wait in one turn of the session, also what depends on others, and more than fits together', async () => {
  const files = Array.from({ length: 600 }, (_, number) => realNative.memory.memfdCreate(`${number}`));
  const [first] = files;
  if (!first) throw new Error('there are no files');
  let settled = 0;
  const asked = [...files, first].map((file, number) => {
    const request = { token: null, label: `${number}`, source: 'test' };
    const preserving = queue.preserve(session, file, request, agentItself);
    void preserving.finally(() => (settled += 1)).catch(() => {});
    return preserving;
  });
  // What an update waits for before it begins.
  await session.serial.run(() => {});
  const done = await Promise.allSettled(asked.map((each) => Promise.race([each, Promise.resolve('later')])));
  expect(settled).toBe(601);
  expect(done.slice(0, 600).every(({ status }) => status === 'fulfilled')).toBe(true);
  expect(done[600]).toMatchObject({ status: 'rejected', reason: { refusal: 'AlreadyPreserved' } });
  expect(session.toBrief().descriptors).toBe(600);
  for (const file of files) file.close();
});
