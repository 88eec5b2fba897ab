// SPDX-License-Identifier: Apache-2.0
//
// One question to QEMU's monitor. QMP is lines of JSON over a Unix socket: QEMU greets, the client
// leaves capability negotiation, and from then on each request gets a `return` or an `error`, with
// events in between. QEMU serves one monitor client at a time, so the connection is kept for one
// question only.

import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

/**
 * Asks QEMU something.
 *
 * @param socket path of the monitor's socket
 * @param command QMP command without arguments, such as `query-chardev`
 * @returns what it returns
 * @throws Error with QEMU's description when it refuses, or when the monitor cannot be reached
 */
export async function askQemu(socket: string, command: string): Promise<unknown> {
  const connection = connect(socket);
  await once(connection, 'connect');
  try {
    let answers = 0;
    for await (const line of createInterface({ input: connection })) {
      const message = JSON.parse(line) as Record<'QMP' | 'return', unknown> & { error?: { desc: string } };
      if (message.QMP) connection.write(`{"execute":"qmp_capabilities"}\n{"execute":"${command}"}\n`);
      if (message.error) throw new Error(`QEMU refused ${command}: ${message.error.desc}`);
      if (message.return !== undefined && ++answers === 2) return message.return;
    }
    throw new Error(`QEMU closed its monitor without answering ${command}`);
  } finally {
    connection.destroy();
  }
}
