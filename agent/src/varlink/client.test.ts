// SPDX-License-Identifier: Apache-2.0
/** Streaming calls of a client, and a connection that ends in the middle. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Descriptor, native } from '@luo-console/native';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Client, connectVarlink } from './client.ts';
import { ConnectionLost, ProtocolError } from './errors.ts';
import { eventually, openDescriptors, serveThing } from './thing.fixture.ts';

function connect(path: string): Client {
  const client = connectVarlink(path);
  onTestFinished(() => client.close());
  return client;
}

/** A service that says what it is told to: the client connected to it, and its end of the socket. */
async function connectToPuppet(): Promise<{ client: Client; puppet: Descriptor }> {
  const folder = mkdtempSync(join(tmpdir(), 'puppet-'));
  const listening = native.sockets.listenUnix(join(folder, 'socket'));
  const client = connect(join(folder, 'socket'));
  const puppet = native.sockets.accept(listening);
  listening.close();
  onTestFinished(() => {
    puppet?.close();
    rmSync(folder, { recursive: true });
  });
  if (puppet === null) throw new Error('nobody connected');
  return { client, puppet };
}

describe('streaming', () => {
  it('gives every reply in order, however slow the reader', async () => {
    const { path } = serveThing();
    const client = connect(path);
    const seen = [];
    for await (const { reply } of client.stream('com.example.Thing.Count', { to: 500 })) {
      seen.push(reply);
      if (seen.length % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => ({ at: i + 1 })));
    expect((await client.call('com.example.Thing.Echo', { text: 'after' })).reply).toMatchObject({
      text: 'after',
    });
  });

  it('fails with the error of the service', async () => {
    const { path } = serveThing();
    const stream = connect(path).stream('com.example.Thing.Fail', { how: 'varlink' });
    await expect(stream.next()).rejects.toMatchObject({ error: 'com.example.Thing.Broken' });
  });

  it('ends the connection when left early, and the handler is told', async () => {
    const { path, observed, server } = serveThing();
    const client = connect(path);
    for await (const { reply } of client.stream('com.example.Thing.Watch', {})) {
      expect(reply).toEqual({ at: 0 });
      break;
    }
    expect(await client.closed).toBeNull();
    await eventually(() => expect([observed.aborted.length, server.connections]).toEqual([1, 0]));
  });

  it('ends with the reason of its signal', async () => {
    const { path } = serveThing();
    const abort = new AbortController();
    const stream = connect(path).stream('com.example.Thing.Watch', {}, { signal: abort.signal });
    await stream.next();
    const next = stream.next();
    abort.abort(new Error('had enough'));
    await expect(next).rejects.toThrow('had enough');
  });
});

describe('a connection that ends', () => {
  it('fails what is under way and what comes after', async () => {
    const { client, puppet } = await connectToPuppet();
    const call = client.call('com.example.Thing.Echo', { text: '' });
    const stream = client.stream('com.example.Thing.Watch', {}).next();
    puppet.close();
    await expect(call).rejects.toThrow(ConnectionLost);
    await expect(stream).rejects.toThrow(ConnectionLost);
    expect(await client.closed).toBeInstanceOf(ConnectionLost);
    await expect(client.call('com.example.Thing.Echo', { text: '' })).rejects.toThrow(ConnectionLost);
  });

  it('still gives what was said before the end', async () => {
    const { client, puppet } = await connectToPuppet();
    const stream = client.stream('com.example.Thing.Watch', {});
    const first = stream.next();
    const replies = Array.from(
      { length: 100 },
      (_, at) => `${JSON.stringify({ parameters: { at }, continues: true })}\0`,
    );
    native.sockets.send(puppet, Buffer.from(replies.join('')));
    // The call is never read, so the kernel reports the end as a reset.
    puppet.close();
    expect((await first).value?.reply).toEqual({ at: 0 });
    let last: unknown;
    await expect(async () => {
      for await (const { reply } of stream) last = reply;
    }).rejects.toThrow(ConnectionLost);
    expect(last).toEqual({ at: 99 });
  });

  it.each([
    ['no JSON', 'hello\0'],
    ['no object', '[]\0'],
    ['an error that is no name', '{"error":5}\0'],
    ['two replies to one call', '{"continues":true}\0{}\0'],
  ])('because the service said %s', async (_, bytes) => {
    const { client, puppet } = await connectToPuppet();
    const call = client.call('com.example.Thing.Echo', { text: '' });
    native.sockets.send(puppet, Buffer.from(bytes));
    await expect(call).rejects.toThrow(ProtocolError);
    expect(await client.closed).toBeInstanceOf(ProtocolError);
  });

  it('because the service answered what nobody asked; descriptors are closed', async () => {
    const { client, puppet } = await connectToPuppet();
    const before = openDescriptors();
    native.sockets.send(puppet, Buffer.from('{}\0'), [puppet, puppet]);
    expect(await client.closed).toMatchObject({ message: 'a reply to nothing' });
    await eventually(() => expect(openDescriptors()).toBeLessThan(before));
  });
});

it('says why it cannot connect', () => {
  expect(() => connectVarlink('/nonexistent/socket')).toThrow('ENOENT');
});
