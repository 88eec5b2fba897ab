// SPDX-License-Identifier: Apache-2.0
/** Calls of the page: dispatch, errors on their way, and streams. */
import { describe, expect, test, vi } from 'vitest';
import { createDispatcher, type Handlers } from '../src/bridge/dispatch.ts';
import { runStream } from '../src/bridge/stream.ts';
import { ConsoleError, isConsoleError, toFailure } from '../src/interface/errors.ts';

const never = new AbortController().signal;

function dispatcherOf(handlers: Partial<Handlers>) {
  return createDispatcher(handlers as Handlers);
}

describe('the dispatcher', () => {
  test('hands on checked parameters with absent ones as null', async () => {
    const AddHost = vi.fn(() => ({ host: {} as never }));
    await dispatcherOf({ AddHost }).call('AddHost', { name: 'lab', address: 'unix:/a' });
    expect(AddHost).toHaveBeenCalledWith(
      { name: 'lab', address: 'unix:/a', sshConfig: null, serialSocket: null },
      expect.anything(),
    );
  });

  test.each([
    ['WriteTerminal', { terminal: 'a', data: 5 }, 'data'],
    ['WriteTerminal', { terminal: 'a' }, 'data'],
    ['WriteTerminal', { terminal: 'a', data: '', more: 1 }, 'more'],
    ['OpenTerminal', { host: 'a', kind: 'video', columns: 1, rows: 1 }, 'kind'],
    ['OpenTerminal', { host: 'a', kind: 'shell', columns: 1.5, rows: 1 }, 'columns'],
    ['Connect', null, 'parameters'],
    ['Connect', 'id', 'parameters'],
  ])('refuses %s of %j', async (method, parameters, parameter) => {
    const handler = vi.fn();
    const dispatcher = dispatcherOf({ [method]: handler });
    await expect(dispatcher.call(method, parameters)).rejects.toMatchObject({
      error: 'io.luoconsole.Console.InvalidValue',
      parameters: { parameter },
    });
    expect(handler).not.toHaveBeenCalled();
  });

  test.each(['Nothing', 'toString', '__proto__', 5, null, undefined, 'WatchHosts'])(
    'does not call %s',
    async (method) => {
      await expect(dispatcherOf({}).call(method, {})).rejects.toMatchObject({
        error: 'io.luoconsole.Console.MethodNotAllowed',
      });
    },
  );

  test('does not stream what answers once', async () => {
    const replies = dispatcherOf({}).stream('GetAppearance', {}, never)[Symbol.asyncIterator]();
    await expect(replies.next()).rejects.toMatchObject({ error: 'io.luoconsole.Console.MethodNotAllowed' });
  });

  test('streams until the handler ends', async () => {
    const WatchTerminal: Handlers['WatchTerminal'] = async function* ({ terminal }) {
      yield { data: terminal, exitCode: null };
      yield { data: '', exitCode: 0 };
    };
    const replies = await Array.fromAsync(
      dispatcherOf({ WatchTerminal }).stream('WatchTerminal', { terminal: 'a' }, never),
    );
    expect(replies).toEqual([
      { data: 'a', exitCode: null },
      { data: '', exitCode: 0 },
    ]);
  });
});

describe('errors on their way to the page', () => {
  test('keep name and parameters', () => {
    const error = new ConsoleError('HostNotFound', { id: 'x' }, 'gone');
    expect(toFailure(error)).toEqual({
      error: 'io.luoconsole.Console.HostNotFound',
      parameters: { id: 'x' },
      message: 'gone',
    });
    expect(isConsoleError(error, 'HostNotFound')).toBe(true);
    expect(isConsoleError(error, 'NotConnected')).toBe(false);
  });

  test('become Failed, without a stack, if they are nobody’s', () => {
    const failure = toFailure(new RangeError('too far'));
    expect(failure).toEqual({
      error: 'io.luoconsole.Console.Failed',
      parameters: { reason: 'too far' },
      message: 'too far',
    });
    expect(toFailure('text').message).toBe('text');
  });
});

describe('a stream', () => {
  function counting(inFlight: number) {
    let produced = 0;
    const sent: number[] = [];
    const ended = Promise.withResolvers<unknown>();
    const control = runStream({
      inFlight,
      async *replies() {
        for (; produced < 10; ) {
          produced += 1;
          yield { n: produced };
        }
      },
      onReply: (reply) => sent.push(reply['n'] as number),
      onEnd: ended.resolve,
    });
    return { control, sent, ended: ended.promise, produced: () => produced };
  }

  test('waits for acknowledgements and then goes on to its end', async () => {
    const { control, sent, ended, produced } = counting(3);
    await vi.waitFor(() => expect(sent).toEqual([1, 2, 3]));
    expect(produced()).toBe(3);
    control.acknowledge();
    await vi.waitFor(() => expect(sent).toEqual([1, 2, 3, 4]));
    expect(produced()).toBe(4);
    for (let count = 0; count < 10; count += 1) {
      control.acknowledge();
      await new Promise(setImmediate);
    }
    expect(await ended).toBeNull();
    expect(sent).toHaveLength(10);
  });

  test('says nothing more after it was cancelled', async () => {
    const { control, sent, ended } = counting(2);
    await vi.waitFor(() => expect(sent).toEqual([1, 2]));
    control.cancel();
    control.acknowledge();
    const silence = await Promise.race([ended, new Promise((resolve) => setImmediate(resolve, 'silence'))]);
    expect(silence).toBe('silence');
    expect(sent).toEqual([1, 2]);
  });

  test('ends with what its source throws', async () => {
    const ended = Promise.withResolvers<unknown>();
    const error = new Error('broken');
    runStream({
      inFlight: 1,
      // biome-ignore lint/correctness/useYield: it fails before it has anything to yield
      async *replies() {
        throw error;
      },
      onReply: () => undefined,
      onEnd: ended.resolve,
    });
    expect(await ended.promise).toBe(error);
  });
});
