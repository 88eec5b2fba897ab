// SPDX-License-Identifier: Apache-2.0
/** A client of QEMU's monitor, and monitors that do not keep to the protocol. */
import { once } from 'node:events';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { type Answer, greeting, nothing, own, serveQmp, value } from './fake-qmp.fixture.ts';
import { QmpClient } from './qmp-client.ts';

const Status = v.object({ status: v.string() });

/** Connects and asks `query-status` of a monitor that answers it so. */
async function ask(answer: Answer): Promise<{ status: string }> {
  const { path } = await serveQmp({ 'query-status': answer });
  using client = await QmpClient.open(own(path), { lineBytes: 2000 });
  return await client.execute('query-status', Status);
}

describe('a QMP client', () => {
  it('knows the version from the greeting and gets answers', async () => {
    const { path, commands } = await serveQmp({ 'query-status': value({ status: 'running' }) });
    using client = await QmpClient.open(own(path));
    expect(client.version).toBe('11.1.3');
    expect(await client.execute('query-status', Status)).toEqual({ status: 'running' });
    expect(commands).toEqual(['qmp_capabilities', 'query-status']);
  });

  it('matches answers with commands by id, in whatever order and pieces they come', async () => {
    let first: (() => void) | null = null;
    const { path } = await serveQmp({
      one: (socket, id) => {
        first = () => value({ status: 'eins' })(socket, id);
      },
      two: (socket, id) => {
        const line = Buffer.from(`${JSON.stringify({ return: { status: 'zwölf' }, id })}\r\n`);
        // In the middle of a letter of two bytes.
        const middle = line.indexOf(0xc3) + 1;
        socket.write(line.subarray(0, middle), () => {
          socket.write(line.subarray(middle));
          first?.();
        });
      },
    });
    using client = await QmpClient.open(own(path));
    const answers = await Promise.all([client.execute('one', Status), client.execute('two', Status)]);
    expect(answers.map(({ status }) => status)).toEqual(['eins', 'zwölf']);
  });

  it('passes events on', async () => {
    const { path } = await serveQmp({
      stop: (socket, id) => {
        socket.write('{"event":"STOP","timestamp":{"seconds":1,"microseconds":2}}\r\n');
        value({})(socket, id);
      },
    });
    using client = await QmpClient.open(own(path));
    const [[event]] = await Promise.all([once(client.events, 'event'), client.execute('stop', v.unknown())]);
    expect(event).toMatchObject({ event: 'STOP', data: {} });
  });

  it('waits for no answer once the signal fires, and takes a late one for nothing', async () => {
    const asked = Promise.withResolvers<() => void>();
    const { path } = await serveQmp({
      stop: (socket, id) => asked.resolve(() => value({})(socket, id)),
      'query-status': value({ status: 'paused' }),
    });
    using client = await QmpClient.open(own(path));
    const abort = new AbortController();
    const stopping = client.execute('stop', v.unknown(), undefined, abort.signal);
    stopping.catch(() => {});
    const late = await asked.promise;
    abort.abort(new Error('called off'));
    await expect(stopping).rejects.toThrow('called off');
    late();
    expect(await client.execute('query-status', Status)).toEqual({ status: 'paused' });
    await expect(client.execute('cont', v.unknown(), undefined, abort.signal)).rejects.toThrow('called off');
  });

  it('takes a refusal for one, with QEMU’s words', async () => {
    const { path } = await serveQmp({});
    using client = await QmpClient.open(own(path));
    await expect(client.execute('query-nothing', v.unknown())).rejects.toMatchObject({
      failure: 'refused',
      message: 'no such',
    });
  });

  it('calls a monitor busy that does not greet', async () => {
    const { path } = await serveQmp({}, '');
    await expect(QmpClient.open(own(path), { greetingMs: 50 })).rejects.toMatchObject({ failure: 'busy' });
  });

  it('does not speak to another process than the machine’s', async () => {
    const { path, commands } = await serveQmp({});
    await expect(QmpClient.open({ ...own(path), pid: 1 })).rejects.toMatchObject({
      failure: 'stranger',
      message: `process ${process.pid} listens at ${path} in place of process 1`,
    });
    expect(commands).toEqual([]);
  });

  it('does not wait for ever for an answer, and goes on with the next', async () => {
    const { path } = await serveQmp({ 'query-kvm': nothing, 'query-status': value({ status: 'running' }) });
    using client = await QmpClient.open(own(path), { answerMs: 500 });
    await expect(client.execute('query-kvm', v.unknown())).rejects.toMatchObject({
      failure: 'silent',
      message: expect.stringContaining('query-kvm'),
    });
    expect(await client.execute('query-status', Status)).toEqual({ status: 'running' });
  });

  it.each<[string, Answer]>([
    ['no JSON', (socket) => void socket.write('hello\n')],
    ['JSON that is no message', (socket) => void socket.write('[1,2]\n')],
    ['an answer of another shape', value({ status: 7 })],
    ['no answer but null', value(null)],
    ['a line without an end', (socket) => void socket.write('x'.repeat(5000))],
  ])('takes nothing that is %s', async (_what, answer) => {
    await expect(ask(answer)).rejects.toMatchObject({ failure: 'malformed' });
  });

  it('ignores answers to what it did not ask', async () => {
    const answer: Answer = (socket, id) => {
      value({ status: 'not yours' })(socket, id + 100);
      value({ status: 'yours' })(socket, id);
    };
    expect(await ask(answer)).toEqual({ status: 'yours' });
  });

  it('says when the connection ended under a command, and refuses the next', async () => {
    const { path } = await serveQmp({ quit: (socket) => void socket.destroy() });
    using client = await QmpClient.open(own(path));
    await expect(client.execute('quit', v.unknown())).rejects.toMatchObject({ failure: 'ended' });
    await expect(client.execute('quit', v.unknown())).rejects.toMatchObject({ failure: 'ended' });
  });

  it('says when there is nothing to connect to, or something else', async () => {
    await expect(QmpClient.open(own('/nonexistent/qmp'))).rejects.toMatchObject({ failure: 'unreachable' });
    const { path } = await serveQmp({}, 'SSH-2.0-OpenSSH\r\n');
    await expect(QmpClient.open(own(path))).rejects.toMatchObject({ failure: 'malformed' });
    const other = await serveQmp({}, greeting.replace('11', '"eleven"'));
    await expect(QmpClient.open(own(other.path))).rejects.toMatchObject({ failure: 'malformed' });
  });
});
