// SPDX-License-Identifier: Apache-2.0
/** The server: calls it serves, calls it refuses, and clients that break the protocol. */
import { native } from '@luo-console/native';
import { describe, expect, it } from 'vitest';
import { connectVarlink } from './client.ts';
import { eventually, memfdWith, openDescriptors, RawClient, serveThing } from './thing.fixture.ts';

const echo = (text: string) => ({ parameters: { text, extra: null } });

async function expectAlive(path: string): Promise<void> {
  const client = new RawClient(path);
  client.call('Echo', { text: 'alive' });
  expect(await client.next()).toEqual(echo('alive'));
}

describe('a server', () => {
  it('says who it is and describes its interfaces', async () => {
    const { path } = serveThing();
    const client = connectVarlink(path);
    const { reply } = await client.call('org.varlink.service.GetInfo', {});
    expect(reply).toMatchObject({
      product: 'Thing',
      interfaces: ['com.example.Thing', 'org.varlink.service'],
    });
    const describe = 'org.varlink.service.GetInterfaceDescription';
    const own = await client.call(describe, { interface: 'com.example.Thing' });
    expect(own.reply).toEqual({ description: 'interface com.example.Thing' });
    await expect(client.call(describe, { interface: 'com.example.No' })).rejects.toMatchObject({
      error: 'org.varlink.service.InterfaceNotFound',
      parameters: { interface: 'com.example.No' },
    });
    client.close();
  });

  it('answers pipelined calls in order, oneway ones not at all', async () => {
    const { path, observed } = serveThing();
    const client = new RawClient(path);
    client.call('Count', { to: 3 }, { more: true });
    client.call('Echo', { text: 'silent' }, { oneway: true });
    client.call('Fail', { how: 'varlink' }, { oneway: true });
    for (const text of ['a', 'b', 'c']) client.call('Echo', { text });
    const replies = [];
    for (let i = 0; i < 6; i += 1) replies.push(await client.next());
    expect(replies).toEqual([
      { parameters: { at: 1 }, continues: true },
      { parameters: { at: 2 }, continues: true },
      { parameters: { at: 3 } },
      echo('a'),
      echo('b'),
      echo('c'),
    ]);
    expect(observed.seen).toEqual(['silent', 'a', 'b', 'c']);
  });

  it('answers a thousand calls sent before the first answer is read', async () => {
    const { path } = serveThing();
    const client = connectVarlink(path);
    const calls = Array.from({ length: 1000 }, (_, i) =>
      client.call('com.example.Thing.Echo', { text: String(i) }),
    );
    const replies = (await Promise.all(calls)).map(({ reply }) => reply);
    expect(replies).toEqual(calls.map((_, i) => ({ text: String(i), extra: null })));
    client.close();
  });

  it('answers what was asked before the caller stopped sending', async () => {
    const { path } = serveThing();
    const client = new RawClient(path);
    client.call('Echo', { text: 'last' });
    native.sockets.shutdownWrite(client.socket);
    expect(await client.next()).toEqual(echo('last'));
    expect(await client.next()).toBeNull();
  });

  it('answers what is under way when it closes, then nothing more', async () => {
    const { path, server, observed } = serveThing();
    const client = new RawClient(path);
    client.call('Watch', {}, { more: true });
    expect(await client.next()).toEqual({ parameters: { at: 0 }, continues: true });
    const closed = server.close();
    expect(await client.next()).toEqual({ parameters: { at: 1 } });
    await closed;
    expect(observed.aborted).toHaveLength(1);
    expect(await client.next()).toBeNull();
    expect(() => native.sockets.connectUnix(path)).toThrow('ECONNREFUSED');
  });
});

describe('calls that cannot be served', () => {
  it.each([
    ['com.example.Other.Echo', {}, 'InterfaceNotFound', { interface: 'com.example.Other' }],
    ['Echo', {}, 'InterfaceNotFound', { interface: '' }],
    ['com.example.Thing.Missing', {}, 'MethodNotFound', { method: 'com.example.Thing.Missing' }],
    ['com.example.Thing.constructor', {}, 'MethodNotFound', { method: 'com.example.Thing.constructor' }],
    ['com.example.Thing.Echo', {}, 'InvalidParameter', { parameter: 'text' }],
    ['com.example.Thing.Echo', { text: 5 }, 'InvalidParameter', { parameter: 'text' }],
    ['com.example.Thing.Echo', { text: '', more: 1 }, 'InvalidParameter', { parameter: 'more' }],
    ['com.example.Thing.Echo', { text: '', toString: 1 }, 'InvalidParameter', { parameter: 'toString' }],
    [
      'com.example.Thing.Nested',
      { steps: [{ title: '' }, {}] },
      'InvalidParameter',
      { parameter: 'steps[1].title' },
    ],
    ['com.example.Thing.Watch', {}, 'ExpectedMore', {}],
    ['com.example.Thing.Push', { fileDescriptor: 0 }, 'InvalidParameter', { parameter: 'fileDescriptor' }],
    ['com.example.Thing.Push', { fileDescriptor: -1 }, 'InvalidParameter', { parameter: 'fileDescriptor' }],
  ])('%s %j is answered %s', async (method, parameters, error, details) => {
    const { path } = serveThing();
    const client = new RawClient(path);
    client.send(`${JSON.stringify({ method, parameters })}\0`);
    expect(await client.next()).toEqual({ error: `org.varlink.service.${error}`, parameters: details });
    client.call('Echo', { text: 'still here' });
    expect(await client.next()).toEqual(echo('still here'));
  });

  it('failing handlers are answered without telling what the program looks like inside', async () => {
    const { path, observed } = serveThing();
    const client = new RawClient(path);
    for (const how of ['varlink', 'system', 'anything', 'reply']) client.call('Fail', { how });
    const internal = {
      error: 'org.varlink.service.InternalError',
      parameters: { method: 'com.example.Thing.Fail' },
    };
    expect(await client.next()).toEqual({
      error: 'com.example.Thing.Broken',
      parameters: { why: 'asked to' },
    });
    expect(await client.next()).toEqual({
      error: 'com.example.Thing.SystemFailed',
      parameters: { code: 'ESRCH' },
    });
    expect(await client.next()).toEqual(internal);
    expect(await client.next()).toEqual(internal);
    expect(observed.log.map(({ level }) => level)).toEqual(['warning', 'error', 'error']);
    expect(observed.log[1]).toMatchObject({ fields: { error: expect.stringContaining('secret anything') } });
  });

  it('a peer that is not admitted is told so', async () => {
    const { path, observed } = serveThing({ admit: (peer) => peer.pid !== process.pid });
    const client = new RawClient(path);
    client.call('Echo', { text: 'no' });
    expect(await client.next()).toEqual({ error: 'org.varlink.service.PermissionDenied', parameters: {} });
    expect(await client.next()).toBeNull();
    expect(observed.seen).toEqual([]);
  });

  it('keys like __proto__ change nothing and reach nobody', async () => {
    const { path } = serveThing();
    const client = new RawClient(path);
    client.send('{"method":"com.example.Thing.Echo","parameters":{"text":"a","__proto__":{"polluted":1}}}\0');
    expect(await client.next()).toMatchObject({ parameters: { parameter: '__proto__' } });
    client.send(
      '{"__proto__":{"oneway":true},"method":"com.example.Thing.Echo","parameters":{"text":"a","extra":{"__proto__":{"polluted":1},"x":2}}}\0',
    );
    expect(await client.next()).toEqual({ parameters: { text: 'a', extra: { x: 2 } } });
    expect('polluted' in {}).toBe(false);
  });
});

describe('clients that do not keep to the protocol', () => {
  it.each([
    ['no JSON', '{"method":\0', 'not JSON'],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22, 0]), 'not JSON in UTF-8'],
    ['nothing', '\0', 'not JSON'],
    ['an array', '[]\0', 'not a JSON object'],
    ['null', 'null\0', 'not a JSON object'],
    ['no method', '{"parameters":{}}\0', 'without a "method"'],
    ['a method that is no text', '{"method":5}\0', 'without a "method"'],
    ['parameters in an array', '{"method":"a.b","parameters":[]}\0', '"parameters" is not an object'],
    ['a flag that is no flag', '{"method":"a.b","more":1}\0', '"more" is not true or false'],
    ['more and oneway', '{"method":"a.b","more":true,"oneway":true}\0', 'no reply and more than one'],
    ['upgrade', '{"method":"a.b","upgrade":true}\0', 'another protocol'],
  ])('%s: dropped', async (_, bytes, reason) => {
    const { path, observed, server } = serveThing();
    const client = new RawClient(path);
    client.send(bytes);
    expect(await client.next()).toBeNull();
    expect(observed.log).toMatchObject([{ level: 'warning', message: expect.stringContaining(reason) }]);
    expect(server.connections).toBe(0);
    await expectAlive(path);
  });

  it('a message over the limit: dropped, and one of the limit served', async () => {
    const { path, observed } = serveThing({ messageLimit: 1000 });
    const client = new RawClient(path);
    const frame = (length: number): string => {
      const empty = JSON.stringify({ method: 'com.example.Thing.Echo', parameters: { text: '' } });
      return empty.replace('""', `"${'x'.repeat(length - empty.length)}"`);
    };
    client.send(`${frame(1000)}\0`);
    expect(await client.next()).toMatchObject({ parameters: {} });
    client.send(frame(1001));
    expect(await client.next()).toBeNull();
    expect(observed.log).toMatchObject([{ message: expect.stringContaining('over 1000 bytes') }]);
    await expectAlive(path);
  });

  it('half a message and gone, with descriptors: nothing is left behind', async () => {
    const { path, server } = serveThing();
    const before = openDescriptors();
    for (let i = 0; i < 20; i += 1) {
      const client = new RawClient(path);
      using file = memfdWith('lost');
      client.send('{"method":"com.ex', [file, file, file]);
      client.socket.close();
    }
    await eventually(() => expect(server.connections).toBe(0));
    await eventually(() => expect(openDescriptors()).toBeLessThanOrEqual(before));
    await expectAlive(path);
  });

  it('gone while a handler runs: the handler is told', async () => {
    const { path, server, observed } = serveThing();
    const client = new RawClient(path);
    client.call('Watch', {}, { more: true });
    await client.next();
    client.socket.close();
    await eventually(() => expect(observed.aborted).toEqual(['com.example.Thing.Watch']));
    await eventually(() => expect(server.connections).toBe(0));
  });

  it('gone while so many calls wait that reading is paused: noticed all the same', async () => {
    const { path, server, observed } = serveThing();
    const client = new RawClient(path);
    client.call('Watch', {}, { more: true });
    for (let i = 0; i < 200; i += 1) client.call('Echo', { text: 'never' });
    await client.next();
    client.socket.close();
    await eventually(() => expect([observed.aborted.length, server.connections]).toEqual([1, 0]));
    expect(observed.seen).toEqual([]);
  });

  it('never reads: dropped after a while, and others are served meanwhile', async () => {
    const { path, server, observed } = serveThing({ stallAfterMs: 50 });
    const client = new RawClient(path);
    for (let i = 0; i < 4; i += 1) client.call('Big', { size: 2_000_000 });
    await expectAlive(path);
    await eventually(() => expect(observed.log[0]?.message).toContain('read nothing for 50 ms'));
    await eventually(() => expect(server.connections).toBe(1));
  });

  it('too many at a time: turned away', async () => {
    const { path } = serveThing({ connectionLimit: 2 });
    const clients = [new RawClient(path), new RawClient(path), new RawClient(path)];
    for (const client of clients.slice(0, 2)) {
      client.call('Echo', { text: 'in' });
      expect(await client.next()).toEqual(echo('in'));
    }
    expect(await clients[2]?.next()).toBeNull();
  });

  it('many at once: others have their turn between them', async () => {
    const { path, server } = serveThing();
    const clients = Array.from({ length: 100 }, () => new RawClient(path));
    let turns = 0;
    while (server.connections < clients.length) {
      turns += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    // 16 a turn.
    expect(turns).toBeGreaterThanOrEqual(6);
    await expectAlive(path);
  });

  it('who takes the whole of their share leaves others theirs, and is told of once', async () => {
    // Every other client belongs to the share that is small.
    let accepted = 0;
    const share = () => {
      accepted += 1;
      return accepted % 2 ? { name: 'greedy', limit: 1 } : { name: 'root', limit: 9, reserved: true };
    };
    const { path, observed } = serveThing({ connectionLimit: 1, share });
    const clients = Array.from({ length: 6 }, () => new RawClient(path));
    for (const [index, client] of clients.entries()) {
      const admitted = index === 0 || index % 2 === 1;
      if (admitted) client.call('Echo', { text: 'in' });
      expect(await client.next()).toEqual(admitted ? echo('in') : null);
    }
    expect(observed.log.map(({ message }) => message)).toEqual([
      'turned a client away: 1 of greedy are connected already',
    ]);
  });

  it('keeps few bytes for a client that asks for more than it waits for', async () => {
    const { path } = serveThing({ messageLimit: 1_048_576 });
    const client = new RawClient(path);
    client.call('Watch', {}, { more: true });
    await client.next();
    // Large calls that wait: taking in stops, so writing to the socket does too.
    const parameters = { text: 'x'.repeat(200_000) };
    // Made once: what this side throws away counts too until it is collected.
    const call = Buffer.from(`${JSON.stringify({ method: 'com.example.Thing.Echo', parameters })}\0`);
    const before = process.memoryUsage().arrayBuffers;
    let sent = 0;
    for (let round = 0; round < 200; round += 1) {
      const rest = call.subarray(sent % call.length);
      sent += native.sockets.send(client.socket, rest) ?? 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sent).toBeLessThan(3_000_000);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000);
    client.socket.close();
    await expectAlive(path);
  });
});
