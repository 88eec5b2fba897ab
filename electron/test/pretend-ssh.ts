// SPDX-License-Identifier: Apache-2.0
/**
 * Stands in for ssh in tests. It asks for a password in its terminal if told to. Then it makes the socket and
 * passes everything on to another one, as a forwarding ssh does. If the target is not there, the connection
 * is accepted and then closed, as with ssh.
 *
 * Arguments: the socket to make, the socket behind it, and the password to ask for or `-`.
 */
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline/promises';

const [socket = '', target = '', password = '-'] = process.argv.slice(2);

if (password !== '-') {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question("root@lab's password: ");
  terminal.close();
  if (answer !== password) {
    console.log('root@lab: Permission denied (publickey,password).');
    process.exit(255);
  }
}

createServer({ allowHalfOpen: true }, (client) => {
  const behind = connect({ path: target, allowHalfOpen: true });
  behind.on('error', () => client.destroy());
  client.on('error', () => behind.destroy());
  client.pipe(behind).pipe(client);
}).listen(socket);
