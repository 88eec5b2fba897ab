// SPDX-License-Identifier: Apache-2.0
/** The way to a host, which a kexec cuts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A line to a host that can be cut, as a kexec cuts it, and laid again to another. */
export class Line {
  readonly path: string;
  private server: Server | null = null;
  private readonly sockets = new Set<Socket>();

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), 'line-'));
    this.path = join(folder, 'agent');
    onTestFinished(async () => {
      await this.cut();
      rmSync(folder, { recursive: true });
    });
  }

  async lay(target: string): Promise<void> {
    const server = createServer((near) => {
      const far = connect(target);
      for (const socket of [near, far]) {
        this.sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => this.sockets.delete(socket));
      }
      near.pipe(far).pipe(near);
    });
    this.server = server;
    await new Promise<void>((done) => server.listen(this.path, done));
  }

  async cut(): Promise<void> {
    const { server } = this;
    this.server = null;
    if (server === null) return;
    const closed = new Promise<void>((done) => server.close(() => done()));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}
