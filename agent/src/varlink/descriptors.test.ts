// SPDX-License-Identifier: Apache-2.0
/** Descriptors that travel beside messages. */
import { type Descriptor, native } from '@luo-console/native';
import { describe, expect, it } from 'vitest';
import { connectVarlink } from './client.ts';
import { eventually, memfdWith, openDescriptors, RawClient, serveThing } from './thing.fixture.ts';

const push = (fileDescriptor: number): string =>
  `${JSON.stringify({ method: 'com.example.Thing.Push', parameters: { fileDescriptor } })}\0`;
const read = (file: Descriptor | undefined): string =>
  file === undefined ? '' : native.memory.read(file, 0n, 100).toString();

describe('descriptors beside messages', () => {
  it('arrive with the call they were sent with, and with the reply', async () => {
    const { path } = serveThing();
    const client = connectVarlink(path);
    using one = memfdWith('one');
    using two = memfdWith('two');
    const { reply } = await client.call(
      'com.example.Thing.Push',
      { fileDescriptor: 1 },
      { descriptors: [one, two] },
    );
    expect(reply).toEqual({ text: 'two' });
    const fetched = await client.call('com.example.Thing.Fetch', { count: 3 });
    expect(fetched.reply).toEqual({ indexes: [0, 1, 2] });
    expect(fetched.descriptors.map(read)).toEqual(['file 0', 'file 1', 'file 2']);
    for (const descriptor of fetched.descriptors) descriptor.close();
    client.close();
  });

  it('stay with their message when several calls wait in the socket', async () => {
    const { path } = serveThing();
    const client = new RawClient(path);
    const files = ['first', 'second', 'third'].map(memfdWith);
    // All of it is sent in one turn of the event loop, so the server finds it waiting together.
    client.call('Echo', { text: 'before' });
    for (const file of files) {
      client.send(push(0), [file]);
      client.call('Echo', { text: 'between' });
    }
    // As systemd's client does: an earlier message in front, its own descriptors' message last.
    const packed = `${JSON.stringify({ method: 'com.example.Thing.Echo', parameters: { text: 'packed' } })}\0${push(0)}`;
    client.send(packed, files.slice(0, 1));
    const texts = [];
    for (let i = 0; i < 9; i += 1)
      texts.push(((await client.next()) as { parameters: { text: string } }).parameters.text);
    expect(texts).toEqual([
      ...['before', 'first', 'between', 'second', 'between', 'third', 'between', 'packed', 'first'],
    ]);
    for (const file of files) file.close();
  });

  it('stay with their message when it comes in many pieces', async () => {
    const { path } = serveThing();
    const client = new RawClient(path);
    using file = memfdWith('pieces');
    const bytes = Buffer.from(push(0));
    client.send(bytes.subarray(0, 1), [file]);
    for (let i = 1; i < bytes.length; i += 1) client.send(bytes.subarray(i, i + 1));
    expect(await client.next()).toEqual({ parameters: { text: 'pieces' } });
  });

  it('may be 253, not more', async () => {
    const { path, observed } = serveThing();
    using file = memfdWith('many');
    const client = connectVarlink(path);
    const most = { descriptors: Array(253).fill(file) };
    expect((await client.call('com.example.Thing.Push', { fileDescriptor: 252 }, most)).reply).toEqual({
      text: 'many',
    });
    const over = { descriptors: Array(254).fill(file) };
    await expect(client.call('com.example.Thing.Push', { fileDescriptor: 0 }, over)).rejects.toThrow(
      RangeError,
    );
    expect((await client.call('com.example.Thing.Echo', { text: 'still' })).reply).toMatchObject({
      text: 'still',
    });
    client.close();

    const raw = new RawClient(path);
    raw.send('{"met', Array(253).fill(file));
    raw.send('hod', [file]);
    expect(await raw.next()).toBeNull();
    expect(observed.log).toMatchObject([{ message: expect.stringContaining('over 253 descriptors') }]);
  });

  it('are all closed again, whatever becomes of the call', async () => {
    const { path, server } = serveThing();
    const before = openDescriptors();
    const client = connectVarlink(path);
    using file = memfdWith('leak?');
    const descriptors = [file, file, file];
    for (let i = 0; i < 50; i += 1) {
      await client.call('com.example.Thing.Push', { fileDescriptor: 1 }, { descriptors });
      await client.call('com.example.Thing.Echo', { text: 'unused' }, { descriptors });
      for (const [method, parameters] of [
        ['com.example.Thing.Push', { fileDescriptor: 9 }],
        ['com.example.Thing.Fail', { how: 'anything' }],
        ['com.example.Thing.Echo', { text: 1 }],
        ['com.example.Nothing.Here', {}],
      ] as const) {
        await expect(client.call(method, parameters, { descriptors })).rejects.toThrow();
      }
      const fetched = await client.call('com.example.Thing.Fetch', { count: 5 });
      for (const descriptor of fetched.descriptors) descriptor.close();
    }
    client.close();
    await eventually(() => expect(server.connections).toBe(0));
    await eventually(() => expect(openDescriptors()).toBeLessThanOrEqual(before + 1));
  });

  it('of calls that were waiting when the caller vanished are closed', async () => {
    const { path, server } = serveThing();
    const before = openDescriptors();
    const client = new RawClient(path);
    const file = memfdWith('waiting');
    client.call('Watch', {}, { more: true });
    for (let i = 0; i < 30; i += 1) client.send(push(0), [file]);
    await client.next();
    client.socket.close();
    file.close();
    await eventually(() => expect(server.connections).toBe(0));
    await eventually(() => expect(openDescriptors()).toBeLessThanOrEqual(before));
  });
});
