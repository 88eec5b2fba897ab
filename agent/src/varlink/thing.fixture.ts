// SPDX-License-Identifier: Apache-2.0
/**
 * A small interface with one method for each way a call can go, served on a socket of its own; and clients
 * that speak bytes, so that a test can say what no proper client would.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Descriptor, type FdLike, native } from '@luo-console/native';
import * as v from 'valibot';
import { onTestFinished, vi } from 'vitest';
import { createService, type Handlers, interfaceError } from './definition.ts';
import { VarlinkError } from './errors.ts';
import { type ServeOptions, type Server, serve } from './server.ts';

export const Thing = {
  name: 'com.example.Thing',
  description: 'interface com.example.Thing',
  methods: {
    Echo: {
      parameters: v.strictObject({
        text: v.string(),
        extra: v.optional(v.nullable(v.record(v.string(), v.unknown())), null),
      }),
      reply: v.object({
        text: v.string(),
        extra: v.optional(v.nullable(v.record(v.string(), v.unknown())), null),
      }),
      streaming: 'no',
    },
    Nested: {
      parameters: v.strictObject({ steps: v.array(v.object({ title: v.string() })) }),
      reply: v.object({}),
      streaming: 'no',
    },
    Count: {
      parameters: v.strictObject({ to: v.number() }),
      reply: v.object({ at: v.number() }),
      streaming: 'may',
    },
    Watch: { parameters: v.strictObject({}), reply: v.object({ at: v.number() }), streaming: 'must' },
    Fail: { parameters: v.strictObject({ how: v.string() }), reply: v.object({}), streaming: 'no' },
    Push: {
      parameters: v.strictObject({ fileDescriptor: v.number() }),
      reply: v.object({ text: v.string() }),
      streaming: 'no',
    },
    Fetch: {
      parameters: v.strictObject({ count: v.number() }),
      reply: v.object({ indexes: v.array(v.number()) }),
      streaming: 'no',
    },
    Big: {
      parameters: v.strictObject({ size: v.number() }),
      reply: v.object({ text: v.string() }),
      streaming: 'no',
    },
  },
  errors: { Broken: v.object({ why: v.string() }) },
} as const;

export interface Observed {
  readonly log: { level: string; message: string; fields: Readonly<Record<string, unknown>> }[];
  readonly aborted: string[];
  /** Calls that reached their handler. */
  readonly seen: string[];
}

function fail(how: string): never {
  if (how === 'varlink') throw interfaceError(Thing, 'Broken', { why: 'asked to' });
  if (how === 'system') native.descriptors.pidfdOpen(2 ** 30);
  throw new Error(`secret ${how}`);
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function handlersFor(observed: Observed): Handlers<typeof Thing> {
  return {
    Echo: async ({ text, extra }) => {
      observed.seen.push(text);
      return { text, extra };
    },
    Nested: async () => ({}),
    Count: async ({ to }, call) => {
      for (let at = 1; call.more && at < to; at += 1) await call.reply({ at });
      return { at: to };
    },
    Watch: async (_, call) => {
      await call.reply({ at: 0 });
      await untilAborted(call.signal);
      observed.aborted.push(call.method);
      return { at: 1 };
    },
    Fail: async ({ how }) => (how === 'reply' ? (null as never) : fail(how)),
    Push: async ({ fileDescriptor }, call) => {
      using file = call.takeDescriptor(fileDescriptor);
      return { text: native.memory.read(file, 0n, 100).toString() };
    },
    Fetch: async ({ count }, call) => {
      const indexes = [];
      for (let i = 0; i < count; i += 1) {
        using file = memfdWith(`file ${i}`);
        indexes.push(call.attach(file));
      }
      return { indexes };
    },
    Big: async ({ size }) => ({ text: 'x'.repeat(size) }),
  };
}

export interface Served {
  readonly path: string;
  readonly server: Server;
  readonly observed: Observed;
}

/** Serves `Thing` until the test is over. */
export function serveThing(options: Partial<ServeOptions> = {}): Served {
  const folder = mkdtempSync(join(tmpdir(), 'varlink-'));
  const path = join(folder, 'thing');
  const observed: Observed = { log: [], aborted: [], seen: [] };
  const server = serve({
    listening: native.sockets.listenUnix(path),
    info: { vendor: 'Example', product: 'Thing', version: '1', url: 'https://example.com' },
    interfaces: [createService(Thing, handlersFor(observed))],
    admit: () => true,
    log: (level, message, fields = {}) => observed.log.push({ level, message, fields }),
    translate: (error) => {
      const code = error instanceof Error && 'code' in error ? String(error.code) : null;
      return code === null ? null : new VarlinkError('com.example.Thing.SystemFailed', { code });
    },
    ...options,
  });
  onTestFinished(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });
  return { path, server, observed };
}

export function memfdWith(text: string): Descriptor {
  const file = native.memory.memfdCreate('thing');
  native.memory.truncate(file, BigInt(text.length));
  native.memory.write(file, 0n, Buffer.from(text));
  return file;
}

/** A client that sends exactly the bytes it is told to. */
export class RawClient {
  readonly socket: Descriptor;
  private received = Buffer.alloc(0);

  constructor(path: string) {
    this.socket = native.sockets.connectUnix(path);
    onTestFinished(() => this.socket.close());
  }

  send(text: string | Uint8Array, descriptors: readonly FdLike[] = []): void {
    const data = typeof text === 'string' ? Buffer.from(text) : text;
    const taken = native.sockets.send(this.socket, data, descriptors);
    if (taken !== data.length) throw new Error(`the socket took ${taken} of ${data.length} bytes`);
  }

  call(method: string, parameters: object = {}, flags: object = {}): void {
    this.send(`${JSON.stringify({ method: `com.example.Thing.${method}`, parameters, ...flags })}\0`);
  }

  /** The next message; null at the end of the stream. */
  async next(): Promise<unknown> {
    for (;;) {
      const end = this.received.indexOf(0);
      if (end >= 0) {
        const text = this.received.subarray(0, end).toString();
        this.received = this.received.subarray(end + 1);
        return JSON.parse(text);
      }
      const data = await this.receive();
      if (data === null) return null;
      this.received = Buffer.concat([this.received, data]);
    }
  }

  private async receive(): Promise<Buffer | null> {
    for (;;) {
      try {
        const received = native.sockets.receive(this.socket);
        if (received !== null) {
          for (const descriptor of received.descriptors) descriptor.close();
          return received.data.length === 0 ? null : received.data;
        }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') return null;
        throw error;
      }
      const poll = native.sockets.poll(this.socket);
      await new Promise<void>((ready) => poll.start(native.sockets.POLL_READABLE, () => ready()));
      poll.close();
    }
  }
}

/** Descriptors that this process has open. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Waits until `condition` stops throwing. */
export function eventually(condition: () => void): Promise<void> {
  return vi.waitFor(condition, { timeout: 10_000, interval: 5 });
}
