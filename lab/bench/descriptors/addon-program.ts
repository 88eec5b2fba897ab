// SPDX-License-Identifier: Apache-2.0
/**
 * Inside the host: `native/descriptors.c` once more, through the addon. Same arguments, same lines of output. Many
 * descriptors are handed over in a row: one by one, each would go to another thread and back.
 */
import { type Descriptor, type FdLike, native } from '../../../native-bindings/src/index.ts';

const { liveUpdate, memory, kernel } = native;
const pageBytes = 4096n;

/** What a request takes, in microseconds. */
async function timed(request: () => Promise<unknown>): Promise<number> {
  const began = kernel.clock('monotonic');
  await request();
  return Number(kernel.clock('monotonic') - began) / 1000;
}

function tokens(count: number): bigint[] {
  return Array.from({ length: count }, (_, index) => BigInt(index));
}

function onePage(): Descriptor {
  const file = memory.memfdCreate('bench');
  memory.truncate(file, pageBytes);
  memory.write(file, 0n, Buffer.from('x'));
  return file;
}

/** Kept open to the end: closing one undoes what is in it. */
const sessions: Descriptor[] = [];

async function preserve(device: FdLike, name: string, count: number): Promise<number> {
  const session = liveUpdate.createSession(device, name);
  sessions.push(session);
  const files = Array.from({ length: count }, onePage);
  const us = await timed(() => liveUpdate.preserveFds(session, files, tokens(count)));
  for (const file of files) file.close();
  return us;
}

async function retrieve(device: FdLike, name: string, count: number): Promise<number> {
  using session = await liveUpdate.retrieveSession(device, name);
  let files: readonly Descriptor[] = [];
  const us = await timed(async () => {
    files = await liveUpdate.retrieveFds(session, tokens(count));
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
