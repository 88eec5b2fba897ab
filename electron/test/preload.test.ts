// SPDX-License-Identifier: Apache-2.0
/**
 * What the page gets to see of the world: two functions that know the console's interface, and nothing of Electron.
 */
import { beforeEach, expect, test, vi } from 'vitest';
import { channels } from '../src/bridge/channels.ts';

const electron = vi.hoisted(() => ({
  exposed: new Map<string, Record<string, (...given: unknown[]) => unknown>>(),
  heard: new Map<string, (...given: unknown[]) => void>(),
  sent: [] as unknown[][],
  answer: { reply: {} } as unknown,
}));

vi.mock('electron', () => ({
  contextBridge: {
    exposeInMainWorld: (name: string, what: Record<string, (...given: unknown[]) => unknown>) =>
      void electron.exposed.set(name, what),
  },
  ipcRenderer: {
    invoke: async (...given: unknown[]) => {
      electron.sent.push(given);
      return electron.answer;
    },
    send: (...given: unknown[]) => void electron.sent.push(given),
    on: (channel: string, listener: (...given: unknown[]) => void) =>
      void electron.heard.set(channel, listener),
  },
}));

await import('../src/bridge/preload.ts');

beforeEach(() => {
  electron.sent.length = 0;
});

function bridge() {
  const luo = electron.exposed.get('luo');
  if (!luo?.['call'] || !luo['stream']) throw new Error('nothing was exposed');
  return { call: luo['call'], stream: luo['stream'] };
}

test('the page gets `luo` with `call` and `stream`, and nothing else', () => {
  expect([...electron.exposed.keys()]).toEqual(['luo']);
  expect(Object.keys(electron.exposed.get('luo') ?? {}).sort()).toEqual(['call', 'stream']);
});

test.each(['Nothing', 'constructor', '__proto__', 'WatchHosts', 7, null])(
  'a call of %j does not leave the page',
  async (method) => {
    await expect(bridge().call(method, {})).rejects.toThrow(TypeError);
    expect(electron.sent).toEqual([]);
  },
);

test.each(['Nothing', 'GetAppearance'])('nor does a stream of %j', (method) => {
  expect(() =>
    bridge().stream(
      method,
      {},
      () => undefined,
      () => undefined,
    ),
  ).toThrow(TypeError);
  expect(electron.sent).toEqual([]);
});

test('a call goes out on one channel and comes back with its reply or its failure', async () => {
  electron.answer = { reply: { appearance: 'dark' } };
  expect(await bridge().call('GetAppearance', {})).toEqual({ appearance: 'dark' });
  expect(electron.sent).toEqual([[channels.call, 'GetAppearance', {}]]);
  electron.answer = {
    failure: { error: 'io.luoconsole.Console.HostNotFound', parameters: { id: 'x' }, message: '' },
  };
  await expect(bridge().call('Connect', { id: 'x' })).rejects.toMatchObject({ parameters: { id: 'x' } });
});

test('Electron’s event does not reach the page with a reply', () => {
  const replies: unknown[][] = [];
  const cancel = bridge().stream(
    'WatchHosts',
    {},
    (...given: unknown[]) => replies.push(given),
    () => undefined,
  ) as () => void;
  const [, id] = electron.sent[0] ?? [];
  electron.heard.get(channels.reply)?.({ sender: 'electron' }, id, { hosts: [] });
  expect(replies).toEqual([[{ hosts: [] }]]);
  cancel();
  expect(electron.sent.map(([channel]) => channel)).toEqual([
    channels.open,
    channels.acknowledge,
    channels.cancel,
  ]);
});
