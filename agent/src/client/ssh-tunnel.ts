// SPDX-License-Identifier: Apache-2.0
/**
 * The agent's socket of another host, brought here by an ssh that this program runs in its own terminal.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SshAddress } from './address.ts';
import { type SshOptions, sshForwardArguments } from './ssh-arguments.ts';
import { AgentUnreachable } from './unreachable.ts';

export interface TunnelOptions extends SshOptions {
  /** The ssh program; found on PATH unless it is a path. */
  readonly program?: string;
  /** Keeps what ssh says to itself, for attempts that are expected to fail for a while. */
  readonly quiet?: boolean;
}

export interface Tunnel {
  /** The socket on this machine. */
  readonly path: string;
  /** Ends ssh. Ending twice does nothing. */
  close(): void;
  /** Settles when ssh has ended, with how: `status 255` or `signal SIGTERM`. */
  readonly ended: Promise<string>;
}

/**
 * Starts ssh with this program's own terminal and waits until the forwarded socket is there.
 *
 * @throws AgentUnreachable if ssh ends first or cannot be run
 */
export async function openTunnel(address: SshAddress, options: TunnelOptions = {}): Promise<Tunnel> {
  const { program = 'ssh' } = options;
  const folder = mkdtempSync(join(tmpdir(), 'luo-'));
  const path = join(folder, 'agent');
  const appeared = Promise.withResolvers<void>();
  const watcher = watch(folder, () => {
    if (existsSync(path)) appeared.resolve();
  });
  // ssh keeps the terminal for its questions, but its output must not get between ours: standard output is ours.
  const child = spawn(program, sshForwardArguments(address, path, options), {
    stdio: ['inherit', 'ignore', options.quiet === true ? 'ignore' : 'inherit'],
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`not started: ${error.message}`));
    child.once('exit', (status, signal) =>
      resolve(signal === null ? `status ${status}` : `signal ${signal}`),
    );
  });
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const end = (): void => {
    child.kill('SIGTERM');
    remove();
  };
  process.once('exit', end);
  void ended.then(() => {
    process.removeListener('exit', end);
    remove();
  });
  try {
    const failure = await Promise.race([appeared.promise.then(() => null), ended]);
    if (failure !== null)
      throw new AgentUnreachable(`ssh to ${address.host} ended before it was connected (${failure})`);
  } finally {
    watcher.close();
  }
  child.unref();
  return { path, ended, close: () => child.kill('SIGTERM') };
}
