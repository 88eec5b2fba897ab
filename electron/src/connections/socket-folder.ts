// SPDX-License-Identifier: Apache-2.0
/** A folder that only this person can enter, for the socket that ssh makes. */
import { existsSync, watch } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SocketFolder {
  /** Path of the socket that is to appear. */
  readonly socket: string;
  /** Whether it has appeared. */
  isThere(): boolean;
  /** Resolves when it has; never if `signal` aborts first. */
  whenThere(signal: AbortSignal): Promise<void>;
  remove(): Promise<void>;
}

/** Creates it in the person's run-time folder, or where temporary files go if there is none. */
export async function createSocketFolder(): Promise<SocketFolder> {
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const parent = runtime && existsSync(runtime) ? runtime : tmpdir();
  // A short name: the path of a Unix socket has room for 107 bytes. mkdtemp makes it with mode 0700.
  const folder = await mkdtemp(join(parent, 'luo-'));
  const socket = join(folder, 'agent.sock');
  return {
    socket,
    isThere: () => existsSync(socket),
    whenThere(signal) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const watcher = watch(folder, { signal }, () => {
        if (existsSync(socket)) resolve();
      });
      watcher.on('error', () => undefined);
      // It may have been made before the watch began.
      if (existsSync(socket)) resolve();
      return promise.finally(() => watcher.close());
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
