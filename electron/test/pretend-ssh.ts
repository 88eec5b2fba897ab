// SPDX-License-Identifier: Apache-2.0
/**
 * Stands in for ssh in tests: asks for a password in its terminal if told to, then makes the socket and
 * passes everything on to another one, as a forwarding ssh does. A target that is not there closes the
 * connection after it was accepted, as with ssh.
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
