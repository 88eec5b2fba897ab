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

/** Stops a QEMU by a signal as soon as its guest is stopped, so that it saves no more of it. */
const stopping = `
const { createInterface } = require('node:readline');
const [path, pid, ready] = process.argv.slice(1);
const socket = require('node:net').connect(path);
createInterface(socket).on('line', (line) => {
  const said = JSON.parse(line);
  if ('QMP' in said) socket.write('{"execute":"qmp_capabilities"}\\n');
  else if ('return' in said) require('node:fs').writeFileSync(ready, '');
  else if (said.event === 'STOP') {
    process.kill(Number(pid), 'SIGSTOP');
    process.exit();
  }
});
`;

/**
 * Has a QEMU hang once its guest is next stopped: a signal stops it, which comes before all else on the processors.
 *
 * @param guest with a second monitor
 */
export async function hangAtStop(
  host: LabHost,
  { name, pid }: { readonly name: string; readonly pid: number },
): Promise<void> {
  const ready = `/run/hang-${name}`;
  const first = ['systemd-run', '--quiet', '--collect', `--unit=hang-${name}`, 'chrt', '-f', '50'];
  await host.sh(['rm', '-f', ready]);
  const { code, stderr } = await host.sh([
    ...first,
    ...[nodeInHost, '-e', stopping, `/run/${name}.second`, `${pid}`, ready],
  ]);
  if (code !== 0) throw new Error(`nobody listens to ${name}: ${stderr}`);
  const waited = await host.sh(`timeout 60 sh -c 'until [ -e ${ready} ]; do sleep 0.1; done'`);
  if (waited.code !== 0) throw new Error(`nobody listens to ${name}`);
}
