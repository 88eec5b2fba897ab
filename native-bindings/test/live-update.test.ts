// SPDX-License-Identifier: Apache-2.0
/**
 * The live update calls on a machine without the device: what the addon says of descriptors that are neither
 * device nor session, word for word the same as the double. What needs the device is in the contract.
 */
import { describe, expect, it } from 'vitest';
import { LiveUpdateDouble } from '../src/double/index.ts';
import { type Descriptor, type LiveUpdate, liveUpdate, memory } from '../src/index.ts';
import { busyPool } from './busy-pool.ts';
import { type FailureParts, rejectionOf } from './failures.ts';

const targetCalls: readonly [string, (on: LiveUpdate, target: Descriptor, file: Descriptor) => unknown][] = [
  ['createSession', (on, target) => on.createSession(target, 'name')],
  ['retrieveSession', (on, target) => on.retrieveSession(target, 'name')],
  ['preserveFd', (on, target, file) => on.preserveFd(target, file, 5n)],
  ['retrieveFd', (on, target) => on.retrieveFd(target, 5n)],
  ['preserveFds', (on, target, file) => on.preserveFds(target, [file], [5n])],
  ['retrieveFds', (on, target) => on.retrieveFds(target, [5n, 6n])],
  ['finish', (on, target) => on.finish(target)],
  ['sessionName', (on, target) => on.sessionName(target)],
];

async function failureOn(
  on: LiveUpdate,
  call: (typeof targetCalls)[number][1],
  targets: readonly [Descriptor, Descriptor],
): Promise<FailureParts> {
  return await rejectionOf(new Promise((resolve) => resolve(call(on, ...targets))));
}

describe.each(targetCalls)('%s', (_name, call) => {
  it('fails alike on the kernel and on the double', async () => {
    using double = new LiveUpdateDouble();
    using file = memory.memfdCreate('neither');
    const closed = memory.memfdCreate('closed');
    closed.close();
    for (const target of [file, closed]) {
      const real = await failureOn(liveUpdate, call, [target, file]);
      expect(real.code).toBe(target === file ? 'ENOTTY' : 'EBADF');
      expect(real.argument).toMatch(/^(device|session)=/);
      expect(await failureOn(double, call, [target, file])).toEqual(real);
    }
  });

  it('needs none of the threads on which other calls wait', async () => {
    await using _waiting = busyPool();
    using file = memory.memfdCreate('neither');
    expect((await failureOn(liveUpdate, call, [file, file])).code).toBe('ENOTTY');
  });
});

describe('preserveFd', () => {
  it('finds a closed file even where its number is the next to be given out', async () => {
    using session = memory.memfdCreate('stands for a session');
    const file = memory.memfdCreate('closed');
    const number = file.fd;
    file.close();
    expect(await rejectionOf(liveUpdate.preserveFd(session, number, 0n))).toMatchObject({
      code: 'EBADF',
      argument: `file=${number}`,
    });
    expect(await rejectionOf(liveUpdate.preserveFd(number, session, 0n))).toMatchObject({
      code: 'EBADF',
      argument: `session=${number}`,
    });
  });
});

describe('preserveFds', () => {
  it('finds a closed file before it does anything, whichever it is', async () => {
    using session = memory.memfdCreate('stands for a session');
    using open = memory.memfdCreate('open');
    const closed = memory.memfdCreate('closed');
    const number = closed.fd;
    closed.close();
    expect(await rejectionOf(liveUpdate.preserveFds(session, [open, number], [0n, 1n]))).toMatchObject({
      code: 'EBADF',
      argument: `file=${number}`,
    });
  });
});

describe('openDevice', () => {
  it('says which path there is not', async () => {
    const expected = {
      code: 'ENOENT',
      errno: 2,
      syscall: 'open',
      argument: 'path="/nonexistent/liveupdate"',
    };
    using double = new LiveUpdateDouble();
    for (const on of [liveUpdate, double]) {
      const open = new Promise((resolve) => resolve(on.openDevice('/nonexistent/liveupdate')));
      expect(await rejectionOf(open)).toEqual(expected);
    }
  });

  it('gives a close-on-exec descriptor', () => {
    using device = liveUpdate.openDevice('/dev/null');
    expect(device.closed).toBe(false);
  });
});

it('the message of an error says code, call and argument', async () => {
  await expect(liveUpdate.finish(0)).rejects.toThrow(
    'ENOTTY: Inappropriate ioctl for device, ioctl(LIVEUPDATE_SESSION_FINISH) session=0',
  );
});
