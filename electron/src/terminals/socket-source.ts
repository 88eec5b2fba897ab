// SPDX-License-Identifier: Apache-2.0
/**
 * A serial console behind a Unix socket, as QEMU offers one: bytes both ways and nothing else. It has no
 * size and no exit code.
 */
import { connect, type Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import type { SourceListener, TerminalSource } from './terminal.ts';

class SocketSource implements TerminalSource {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  attach(listener: SourceListener): void {
    // A character may arrive in two pieces.
    const decoder = new StringDecoder('utf8');
    this.#socket.on('data', (data) => listener.onData(decoder.write(data as Buffer)));
    this.#socket.on('error', (error) => listener.onData(`\r\n[${error.message}]\r\n`));
    this.#socket.on('close', () => listener.onEnd(null));
    this.#socket.resume();
  }

  write(data: string): void {
    this.#socket.write(data);
  }

  resize(): void {
    // A serial line has no size.
  }

  end(): void {
    this.#socket.destroy();
  }
}

/**
 * Connects to the socket at `path`. What it prints before the terminal is attached is kept by the
 * paused socket.
 *
 * @throws NodeJS.ErrnoException `ENOENT`, `ECONNREFUSED`, `EACCES`
 */
export async function openSerial(path: string): Promise<TerminalSource> {
  const socket = connect({ path });
  socket.pause();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('connect', resolve);
  socket.once('error', reject);
  try {
    await promise;
  } finally {
    socket.off('error', reject);
  }
  return new SocketSource(socket);
}
