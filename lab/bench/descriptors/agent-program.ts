// SPDX-License-Identifier: Apache-2.0
/**
 * Runs inside the host and preserves the same files through the agent. It sends as many in one call as
 * there can be. Arguments and lines of output are those of `native/descriptors.c`. It only preserves:
 * the agent retrieves by itself when it starts in the next kernel.
 */
import { connectAgent } from '../../../agent/src/client/index.ts';
import { localAddress } from '../../../agent/src/interface/places.ts';
import { type Descriptor, native } from '../../../native-bindings/src/index.ts';

const { memory, kernel } = native;
const pageBytes = 4096n;
/** Descriptors in one call; the kernel hands no more over with one message. */
const atOnce = 250;

/** A file that differs from every other one of its session. */
function onePage(_: unknown, number: number): Descriptor {
  const file = memory.memfdCreate('bench');
  memory.truncate(file, pageBytes);
  memory.write(file, 0n, Buffer.from(`number ${number}\n`));
  return file;
}

const agent = await connectAgent(localAddress);
for (const each of process.argv.slice(3)) {
  const [count = 0, times = 0] = each.split('x').map(Number);
  for (let time = 0; time < times; time += 1) {
    const session = `agent-${count}-${time}`;
    await agent.call('CreateSession', { name: session });
    const files = Array.from({ length: count }, onePage);
    const began = kernel.clock('monotonic');
    for (let first = 0; first < count; first += atOnce) {
      const some = files.slice(first, first + atOnce);
      const wishes = some.map((_file, fileDescriptor) => ({ fileDescriptor, token: null, label: null }));
      const { reply } = await agent.exchange('PreserveDescriptors', { session, wishes }, some);
      const refused = reply.outcomes.find(({ error }) => error !== null);
      if (refused) throw new Error(`${refused.error} ${JSON.stringify(refused.errorParameters)}`);
    }
    console.log(`${count} ${Number(kernel.clock('monotonic') - began) / 1000}`);
    for (const file of files) file.close();
  }
}
agent.close();
console.log('done');
