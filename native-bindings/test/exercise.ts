// SPDX-License-Identifier: Apache-2.0
/**
 * Every call of the addon, succeeding and failing, many times over; run by the sanitizer test against a build
 * that reports memory errors. It checks nothing itself beyond reaching its end.
 *
 * The addon is imported by path (first argument: the package's `index.ts`), because the build under test lies in a
 * separate directory.
 */
import { randomBytes } from 'node:crypto';
import type * as Package from '../src/index.ts';

const [, , path = ''] = process.argv;
const notifyVariable = 'NOTIFY_SOCKET';
const { descriptors, kernel, liveUpdate, memory, serviceManager, sockets }: typeof Package = await import(
  path
);

const roundCount = 200;
const windowBytes = 8 << 20;
const hugeBytes = 2 << 20;

/** Runs what is expected to fail. */
async function fails(act: () => unknown): Promise<void> {
  try {
    await act();
  } catch {
    return;
  }
  throw new Error(`did not fail: ${act}`);
}

async function failures(): Promise<void> {
  using file = memory.memfdCreate('x');
  await fails(() => liveUpdate.openDevice('/nonexistent'));
  await fails(() => liveUpdate.createSession(file, 'n'.repeat(500)));
  await fails(() => liveUpdate.retrieveSession(file, 'é'.repeat(32)));
  await fails(() => liveUpdate.preserveFd(file, file, 2n ** 64n - 1n));
  await fails(() => liveUpdate.retrieveFd(file, 0n));
  await fails(() => liveUpdate.preserveFds(file, [file, file], [0n, 1n]));
  await fails(() => liveUpdate.preserveFds(file, [file, 999_999], [0n, 1n]));
  await fails(() => liveUpdate.retrieveFds(file, [0n, 1n]));
  await fails(() => liveUpdate.finish(file));
  await fails(() => liveUpdate.sessionName(file));
  await fails(() => liveUpdate.preserveFd(file, 999_999, 0n));
  await fails(() => memory.addSeals(file, 4));
  await fails(() => memory.fileFacts(999_999));
  await fails(() => memory.sha256(999_999));
  await fails(() => memory.collapse(999_999, 0n, hugeBytes));
  await fails(() => memory.allocate(999_999, 0n, hugeBytes));
  await fails(() => memory.hugeBytes(999_999));
  await fails(() => kernel.kexecFileLoad(999_999, null, ''));
  await fails(() => kernel.kexecFileLoad(file, 999_999, ''));
  await fails(() => descriptors.pidfdGetfd(file, 0));
  await fails(() => descriptors.close(999_999));
  await fails(() => sockets.listenUnix(`/nonexistent/${'p'.repeat(90)}`));
  await fails(() => sockets.connectUnix('/nonexistent/s'));
  await fails(() => sockets.receive(file));
  await fails(() => sockets.send(file, Buffer.of(1), [999_999]));
  await fails(() => sockets.peerCredentials(file));
  await fails(() => sockets.poll(999_999));
  await fails(() => sockets.record(file, file, 0n, 1n));
  await fails(() => sockets.record(999_999, file, 0n, 1n));
  await fails(() => sockets.recordFrom(999_999, 1, file, 0n, 1n));
  await fails(() => sockets.shutdown(file));
  process.env[notifyVariable] = `@${'a'.repeat(106)}`;
  await fails(() => serviceManager.notify('x'.repeat(10_000), [file]));
}

async function filesAndSockets(): Promise<void> {
  using file = memory.memfdCreate('é'.repeat(100), { allowSealing: true });
  const data = randomBytes(10_000);
  memory.write(file, 5n, data);
  memory.read(file, 0n, 20_000);
  memory.read(file, 0n, 0);
  memory.getSeals(file);
  memory.fileFacts(file);
  const [one, other] = sockets.socketPair();
  sockets.send(one, data, new Array(253).fill(file));
  for (const descriptor of sockets.receive(other)?.descriptors ?? []) descriptor.close();
  sockets.send(one, data.subarray(7, 9));
  sockets.receive(other, 1);
  sockets.peerCredentials(one);
  sockets.shutdownWrite(one);
  await new Promise<void>((resolve) => {
    const poll = sockets.poll(other);
    poll.start(sockets.POLL_READABLE, () => {
      poll.close();
      resolve();
    });
  });
  sockets.shutdown(other);
  const [sending, recorded] = sockets.socketPair();
  sockets.send(sending, data);
  sending.close();
  await sockets.record(recorded, file, 3n, BigInt(data.length));
  recorded.close();
  using pidfd = descriptors.pidfdOpen(process.pid);
  descriptors.pidfdGetfd(pidfd, file.fd).close();
  await kernel.syncFileSystem(descriptors.duplicate(file));
  await fails(() => kernel.syncBlockDevice(descriptors.duplicate(one)));
  kernel.clock('boottime');
  kernel.counter();
  sockets.shutdown(one);
  one.close();
  other.close();
}

async function digests(): Promise<void> {
  using file = memory.memfdCreate('digest');
  memory.write(file, 0n, randomBytes(100_003));
  await memory.sha256(file);
  memory.truncate(file, BigInt(2 * windowBytes + 5));
  const pending = [memory.sha256(file), memory.sha256(file)];
  await Promise.all(pending);
  await fails(() => memory.sha256(file, { onProgress: () => memory.truncate(file, 0n) }));
}

async function hugePages(): Promise<void> {
  using file = memory.memfdCreate('huge');
  memory.truncate(file, BigInt(4 * hugeBytes + 5));
  // The test is told nothing by it where the host has no huge page free: it looks for errors of the addon.
  await memory.allocate(file, 0n, hugeBytes);
  await descriptors.closeAside(descriptors.duplicate(file));
  const either = memory.collapse(file, 0n, 8 * hugeBytes).catch(() => 0);
  memory.truncate(file, BigInt(hugeBytes));
  await either;
  await memory.hugeBytes(file);
  await memory.releaseUnused();
  await memory.populatePrograms();
}

for (let round = 0; round < roundCount; round++) {
  await failures();
  await filesAndSockets();
  if (round % 50 === 0) await digests();
  if (round % 50 === 0) await hugePages();
}
// Collected rather than closed: finalisers run too.
const [watched, peer] = sockets.socketPair();
for (let count = 0; count < 50; count++) sockets.poll(watched);
globalThis.gc?.();
await new Promise((resolve) => setImmediate(resolve));
watched.close();
peer.close();
process.stdout.write('exercised\n');
