// SPDX-License-Identifier: Apache-2.0
/**
 * Runs inside the host and preserves many files of memory through its agent, for an update to carry over beside the
 * machines. Arguments: the session's name, how many files, and the bytes of each.
 */
import { connectAgent } from '../../../agent/src/client/index.ts';
import { localAddress } from '../../../agent/src/interface/places.ts';
import { native } from '../../../native-bindings/src/index.ts';

const [session = '', count, bytes] = process.argv.slice(2);
const page = Buffer.alloc(4096, 'x');
const agent = await connectAgent(localAddress);
await agent.call('CreateSession', { name: session });
for (let number = 0; number < Number(count); number += 1) {
  const file = native.memory.memfdCreate('beside');
  native.memory.truncate(file, BigInt(bytes ?? 0));
  for (let at = 0; at < Number(bytes); at += page.length) native.memory.write(file, BigInt(at), page);
  const parameters = { session, fileDescriptor: 0, token: null, label: null };
  await agent.exchange('PreserveDescriptor', parameters, [file]);
  file.close();
}
agent.close();
