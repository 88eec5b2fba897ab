// SPDX-License-Identifier: Apache-2.0
/** What somebody else than the agent says to the monitor of a QEMU in a host. */
import type { LabHost } from '../../src/index.ts';

const nodeInHost = '/usr/lib/luo-console-agent/node';

/** Each command is a line on standard input, and its answer one on standard output. */
const script = `
const { createInterface } = require('node:readline');
const socket = require('node:net').connect(process.argv[1]);
const lines = createInterface(socket)[Symbol.asyncIterator]();
const ask = async (command) => {
  socket.write(JSON.stringify(command) + '\\n');
  for (;;) {
    const { value, done } = await lines.next();
    if (done) throw new Error('QEMU closed its monitor at ' + command.execute);
    const answer = JSON.parse(value);
    if ('error' in answer) throw new Error(command.execute + ': ' + answer.error.desc);
    if ('return' in answer) return answer.return;
  }
};
(async () => {
  await lines.next();
  await ask({ execute: 'qmp_capabilities' });
  for await (const line of createInterface(process.stdin)) console.log(JSON.stringify(await ask(JSON.parse(line))));
  socket.destroy();
})().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
`;

/** @returns the answers. @throws Error with QEMU's words, or if it ends */
export async function askQemu(
  host: LabHost,
  name: string,
  commands: readonly { readonly execute: string; readonly arguments?: object }[],
): Promise<unknown[]> {
  const input = commands.map((each) => `${JSON.stringify(each)}\n`).join('');
  const { code, stdout, stderr } = await host.sh([nodeInHost, '-e', script, `/run/${name}.qmp`], { input });
  if (code !== 0) throw new Error(`the monitor of ${name}: ${stderr}`);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** The settings of its migration, which belong to the machine's owner. */
export const settingsOf = (host: LabHost, name: string): Promise<unknown[]> =>
  askQemu(host, name, [{ execute: 'query-migrate-parameters' }, { execute: 'query-migrate-capabilities' }]);
