// SPDX-License-Identifier: Apache-2.0
/**
 * Inside the host: `native/descriptors.c` once more, through the addon. Same arguments, same lines of output. Requests
 * overlap as far as the addon lets them: a caller with many descriptors does not wait for each before the next.
 */
import { type Descriptor, type FdLike, native } from '../../../native-bindings/src/index.ts';

const { liveUpdate, memory, kernel } = native;
const PAGE = 4096n;
/** Requests under way at once; more would only wait in libuv's queue. */
const TOGETHER = 64;

/** Runs numbered requests, some of them at a time; returns what it took, in microseconds. */
async function timed(count: number, request: (index: number) => Promise<void>): Promise<number> {
  const began = kernel.clock('monotonic');
  for (let first = 0; first < count; first += TOGETHER) {
    const some = Math.min(TOGETHER, count - first);
    await Promise.all(Array.from({ length: some }, (_, index) => request(first + index)));
  }
  return Number(kernel.clock('monotonic') - began) / 1000;
}

function onePage(): Descriptor {
  const file = memory.memfdCreate('bench');
  memory.truncate(file, PAGE);
  memory.write(file, 0n, Buffer.from('x'));
  return file;
}

/** Kept open to the end: closing one undoes what is in it. */
const sessions: Descriptor[] = [];

async function preserve(device: FdLike, name: string, count: number): Promise<number> {
  const session = liveUpdate.createSession(device, name);
  sessions.push(session);
  const files = Array.from({ length: count }, onePage);
  const us = await timed(count, async (index) => {
    await liveUpdate.preserveFd(session, files[index] ?? -1, BigInt(index));
  });
  for (const file of files) file.close();
  return us;
}

async function retrieve(device: FdLike, name: string, count: number): Promise<number> {
  using session = await liveUpdate.retrieveSession(device, name);
  const files: Descriptor[] = [];
  const us = await timed(count, async (index) => {
    files[index] = await liveUpdate.retrieveFd(session, BigInt(index));
  });
  for (const file of files) file.close();
  await liveUpdate.finish(session);
  return us;
}

const [operation, ...series] = process.argv.slice(2);
const device = liveUpdate.openDevice();
for (const each of series) {
  const [count = 0, times = 0] = each.split('x').map(Number);
  for (let time = 0; time < times; time += 1) {
    const name = `addon-${count}-${time}`;
    const us = await (operation === 'preserve' ? preserve : retrieve)(device, name, count);
    console.log(`${count} ${us}`);
  }
}
device.close();
console.log('done');
// A process that only waits; its end would undo what it preserved.
if (operation === 'preserve') setInterval(() => sessions.length, 2 ** 30);
