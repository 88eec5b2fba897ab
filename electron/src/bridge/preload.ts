// SPDX-License-Identifier: Apache-2.0
/**
 * The preload script: the only code that sees both the page and Electron's IPC. It forwards known
 * methods and nothing else; it knows no method by name. It runs sandboxed, so it is bundled into one
 * CommonJS file.
 */
import { contextBridge, ipcRenderer } from 'electron';
import { ConsoleInterface } from '../interface/bridge.generated.ts';
import type { BridgeFailure, LuoBridge } from '../interface/window.ts';
import { type CallAnswer, channels } from './channels.ts';

interface OpenStream {
  readonly onReply: (reply: unknown) => void;
  readonly onEnd: (failure: BridgeFailure | null) => void;
}

const methods = ConsoleInterface.methods;
const streams = new Map<number, OpenStream>();
let lastStream = 0;

function assertKnown(method: unknown, streaming: boolean): asserts method is keyof typeof methods {
  if (typeof method !== 'string' || !Object.hasOwn(methods, method)) {
    throw new TypeError(`window.luo: no method "${String(method)}" in ${ConsoleInterface.name}`);
  }
  if ((methods[method as keyof typeof methods].streaming === 'must') !== streaming) {
    throw new TypeError(`window.luo: ${method}: expected ${streaming ? 'call' : 'stream'} instead`);
  }
}

async function call(method: unknown, parameters: unknown): Promise<unknown> {
  assertKnown(method, false);
  const answer: CallAnswer = await ipcRenderer.invoke(channels.call, method, parameters);
  // A plain object on purpose: an Error would lose everything but its message on the way to the page.
  if (answer.failure) throw answer.failure;
  return answer.reply;
}

function stream(
  method: unknown,
  parameters: unknown,
  onReply: OpenStream['onReply'],
  onEnd: OpenStream['onEnd'],
): () => void {
  assertKnown(method, true);
  lastStream += 1;
  const id = lastStream;
  streams.set(id, { onReply, onEnd });
  ipcRenderer.send(channels.open, id, method, parameters);
  return () => {
    if (streams.delete(id)) ipcRenderer.send(channels.cancel, id);
  };
}

ipcRenderer.on(channels.reply, (_event, id: number, reply: unknown) => {
  try {
    streams.get(id)?.onReply(reply);
  } finally {
    ipcRenderer.send(channels.acknowledge, id);
  }
});

ipcRenderer.on(channels.end, (_event, id: number, failure: BridgeFailure | null) => {
  const open = streams.get(id);
  streams.delete(id);
  open?.onEnd(failure);
});

// What is generated says which methods there are; the two functions are the same for all of them.
const bridge: LuoBridge = { call: call as LuoBridge['call'], stream: stream as LuoBridge['stream'] };

contextBridge.exposeInMainWorld('luo', bridge);
