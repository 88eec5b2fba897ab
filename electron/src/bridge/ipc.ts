// SPDX-License-Identifier: Apache-2.0
/**
 * Electron's end of the bridge: takes messages from the page, and only from the page. A message from
 * any other frame or address is dropped, not answered. Streams end with the page that opened them.
 */
import { type IpcMainEvent, type IpcMainInvokeEvent, ipcMain, type WebContents } from 'electron';
import { toFailure } from '../interface/errors.ts';
import { type CallAnswer, channels, repliesInFlight } from './channels.ts';
import type { Dispatcher } from './dispatch.ts';
import { runStream, type StreamControl } from './stream.ts';

export interface IpcOptions {
  readonly dispatcher: Dispatcher;
  /** Whether a frame with this URL is ours. */
  readonly isOurs: (url: string) => boolean;
  /** For failures that are not part of the interface. */
  readonly log: (message: string) => void;
}

type OpenStreams = Map<number, StreamControl>;

/** Starts answering the page. */
export function serveBridge({ dispatcher, isOurs, log }: IpcOptions): void {
  const pages = new WeakMap<WebContents, OpenStreams>();

  const trusted = (event: IpcMainEvent | IpcMainInvokeEvent): boolean => {
    const frame = event.senderFrame;
    if (frame !== null && frame === event.sender.mainFrame && isOurs(frame.url)) return true;
    log(`dropped a message from ${frame?.url ?? 'a frame that is gone'}`);
    return false;
  };

  const streamsOf = (page: WebContents): OpenStreams => {
    const known = pages.get(page);
    if (known) return known;
    const streams: OpenStreams = new Map();
    const cancelAll = () => {
      for (const stream of streams.values()) stream.cancel();
      streams.clear();
    };
    // A reload keeps the WebContents but forgets every stream that the page had open.
    page.on('did-start-navigation', (details) => {
      if (details.isMainFrame && !details.isSameDocument) cancelAll();
    });
    page.on('render-process-gone', cancelAll);
    page.once('destroyed', cancelAll);
    pages.set(page, streams);
    return streams;
  };

  const failureOf = (error: unknown) => {
    const failure = toFailure(error);
    if (failure.error.endsWith('.Failed'))
      log(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return failure;
  };

  ipcMain.handle(channels.call, async (event, method: unknown, parameters: unknown): Promise<CallAnswer> => {
    if (!trusted(event)) throw new Error('not from the console');
    try {
      return { reply: await dispatcher.call(method, parameters) };
    } catch (error) {
      return { failure: failureOf(error) };
    }
  });

  ipcMain.on(channels.open, (event, id: unknown, method: unknown, parameters: unknown) => {
    if (!trusted(event) || !Number.isSafeInteger(id)) return;
    const page = event.sender;
    const streams = streamsOf(page);
    const key = id as number;
    if (streams.has(key)) return;
    const control = runStream({
      replies: (signal) => dispatcher.stream(method, parameters, signal),
      inFlight: repliesInFlight,
      onReply: (reply) => page.send(channels.reply, key, reply),
      onEnd: (error) => {
        streams.delete(key);
        if (!page.isDestroyed()) page.send(channels.end, key, error === null ? null : failureOf(error));
      },
    });
    streams.set(key, control);
  });

  ipcMain.on(channels.acknowledge, (event, id: unknown) => {
    if (trusted(event))
      pages
        .get(event.sender)
        ?.get(id as number)
        ?.acknowledge();
  });

  ipcMain.on(channels.cancel, (event, id: unknown) => {
    if (!trusted(event)) return;
    const streams = pages.get(event.sender);
    streams?.get(id as number)?.cancel();
    streams?.delete(id as number);
  });
}
