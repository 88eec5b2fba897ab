// SPDX-License-Identifier: Apache-2.0
/** The monitor's side of a conversation is played by a server that says what it is given. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectMonitor } from './qmp.ts';

const greeting = { QMP: { version: {}, capabilities: [] } };

let directory: string;
let path: string;
let server: Server;
let asked: unknown[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'luo-qmp-'));
  path = join(directory, 'qmp.sock');
  asked = [];
});
afterEach(async () => {
  server.close();
  await rm(directory, { recursive: true });
});

/** Serves a monitor that answers each request with some lines; none for a request ends the connection. */
async function monitor(answers: Readonly<Record<string, readonly object[]>>): Promise<void> {
  server = createServer((client) => {
    const send = (lines: readonly object[]) =>
      client.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    send([greeting]);
    createInterface({ input: client }).on('line', (line) => {
      const request = JSON.parse(line);
      asked.push(request);
      const lines = { qmp_capabilities: [{ return: {} }], ...answers }[String(request.execute)];
      if (lines) send(lines);
      else client.end();
    });
  }).listen(path);
  await once(server, 'listening');
}

test('a question gets its answer, whatever events come between', async () => {
  await monitor({ 'query-status': [{ event: 'STOP' }, { return: { status: 'paused' } }] });
  using qemu = await connectMonitor(path);
  expect(await qemu.ask('query-status')).toEqual({ status: 'paused' });
  expect(asked).toEqual([
    { execute: 'qmp_capabilities', arguments: {} },
    { execute: 'query-status', arguments: {} },
  ]);
});

test('an event is found whether it came before or comes later, and each once', async () => {
  const migration = (status: string) => ({ event: 'MIGRATION', data: { status } });
  await monitor({
    migrate: [migration('setup'), { return: {} }],
    'query-migrate': [{ return: {} }, migration('active'), { event: 'STOP' }, migration('completed')],
  });
  using qemu = await connectMonitor(path);
  await qemu.ask('migrate', { uri: 'exec:cat' });
  await qemu.ask('query-migrate');
  expect(await qemu.nextEvent('MIGRATION')).toEqual({ status: 'setup' });
  expect(await qemu.nextEvent('MIGRATION')).toEqual({ status: 'active' });
  expect(await qemu.nextEvent('MIGRATION')).toEqual({ status: 'completed' });
});

test('a refusal is an error in QEMU’s words', async () => {
  await monitor({ cont: [{ error: { class: 'GenericError', desc: 'Resetting the VM is required' } }] });
  using qemu = await connectMonitor(path);
  await expect(qemu.ask('cont')).rejects.toThrow('QEMU refused cont: Resetting the VM is required');
});

test('the end of QEMU is an error that says what was waited for', async () => {
  await monitor({ stop: [{ return: {} }] });
  using qemu = await connectMonitor(path);
  await qemu.ask('stop');
  await expect(qemu.ask('quit')).rejects.toThrow('QEMU closed its monitor without answering quit');
});
