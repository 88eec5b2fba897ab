// SPDX-License-Identifier: Apache-2.0
/** No descriptor is left behind, over 10,000 cycles of each way to make one. */
import { existsSync, readdirSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import { LiveUpdateDouble } from '../src/double/index.ts';
import { type Descriptor, descriptors, memory, sockets } from '../src/index.ts';
import { failureOf } from './failures.ts';

const cycleCount = 10_000;

/** Numbers that are open, without that of the directory that lists them. */
const openNumbers = (): string[] =>
  readdirSync('/proc/self/fd').filter((number) => existsSync(`/proc/self/fd/${number}`));

async function leavesNothing(cycle: (count: number) => unknown): Promise<void> {
  await cycle(0); // what is made once and kept, such as the thread pool's own descriptors, is there afterwards
  const before = openNumbers();
  for (let count = 1; count <= cycleCount; count++) {
    // Awaiting only promises keeps the synchronous cycles in one turn, where no finaliser could tidy up for them.
    const done = cycle(count);
    if (done instanceof Promise) await done;
  }
  // What came from outside is closed on other threads.
  await vi.waitFor(() => {
    expect(openNumbers().filter((number) => !before.includes(number))).toEqual([]);
  }, 10_000);
}

it('memfds', async () => {
  await leavesNothing(() => {
    using file = memory.memfdCreate('cycle', { allowSealing: true });
    using _copy = descriptors.duplicate(file);
    descriptors.takeOwnership(descriptors.duplicate(file).release()).close();
  });
});

it('socket pairs with descriptors passed through them', async () => {
  using file = memory.memfdCreate('passed');
  const data = Buffer.of(1);
  await leavesNothing(() => {
    const [one, other] = sockets.socketPair();
    sockets.send(one, data, [file, file]);
    const received = sockets.receive(other);
    expect(received?.descriptors).toHaveLength(2);
    for (const descriptor of received?.descriptors ?? []) descriptor.close();
    // These are never received: the kernel closes them with the sockets.
    sockets.send(one, data, [file]);
    one.close();
    other.close();
  });
});

it('recordings, to the end and beyond what may come', async () => {
  using file = memory.memfdCreate('recorded');
  await leavesNothing(async (count) => {
    const [one, other] = sockets.socketPair();
    sockets.send(one, Buffer.from('state'), [file]);
    one.close();
    const recording = sockets.record(other, file, 0n, BigInt(count % 2) * 5n);
    // The thread has its own copies.
    other.close();
    await recording.catch(() => {});
  });
});

it('watchers', async () => {
  const [one, other] = sockets.socketPair();
  await leavesNothing(() => {
    const poll = sockets.poll(one);
    poll.start(sockets.POLL_READABLE, () => {});
    poll.close();
  });
  one.close();
  other.close();
});

it('process descriptors', async () => {
  using file = memory.memfdCreate('own');
  await leavesNothing(() => {
    using pidfd = descriptors.pidfdOpen(process.pid);
    using _copy = descriptors.pidfdGetfd(pidfd, file.fd);
  });
});

it('digests', async () => {
  using file = memory.memfdCreate('digest');
  memory.write(file, 0n, Buffer.from('x'));
  await leavesNothing(() => memory.sha256(file));
});

it('files of which nothing is a whole huge page', async () => {
  using file = memory.memfdCreate('small');
  await leavesNothing(async () => {
    await memory.collapse(file, 0n, 2 << 20);
    await memory.hugeBytes(file);
  });
});

it('calls that fail', async () => {
  using file = memory.memfdCreate('x');
  await leavesNothing(() => {
    expect(failureOf(() => sockets.connectUnix('/nonexistent/socket')).code).toBe('ENOENT');
    expect(failureOf(() => sockets.listenUnix('/nonexistent/socket')).code).toBe('ENOENT');
    expect(failureOf(() => descriptors.pidfdGetfd(file, 0)).code).toBe('EBADF');
  });
});

it('sessions of the double, with a file in each', async () => {
  using double = new LiveUpdateDouble();
  using file = memory.memfdCreate('preserved');
  await leavesNothing(async (count) => {
    using device = double.openDevice();
    const session: Descriptor = double.createSession(device, `session ${count}`);
    await double.preserveFd(session, file, BigInt(count));
    session.close();
    // Closing is noticed at the next call.
    expect(() => double.sessionName(file)).toThrow('ENOTTY');
  });
});
