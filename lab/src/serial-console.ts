// SPDX-License-Identifier: Apache-2.0
/**
 * The serial console, interactively. The host's output is read from its log, which has everything since the host was
 * made. First comes what is there, then each addition, with no gap and nothing twice. The socket is for typing only.
 * QEMU serves one client on it and lets a second one wait. Keys typed by a waiting client would reach a root shell much
 * later, so then the console is for looking only.
 */

import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import type { LabHost } from './host.ts';
import { exited } from './qemu.ts';
import { connectMonitor } from './qmp.ts';
import { hostFiles } from './settings.ts';
import { growing } from './watch.ts';

const leaveKey = 0x1d;
const scrollbackBytes = 256 * 1024;

/**
 * Connects the terminal with a host's serial console until Ctrl-] is typed or the host is gone.
 *
 * @param notice says something to the person, apart from what the host says
 */
export async function attachConsole(host: LabHost, notice: (text: string) => void): Promise<void> {
  const stop = new AbortController();
  const output = follow(host.serialLog, stop.signal).catch(() => {});
  const socket = await openInput(host);
  if (!(await host.running())) notice(`${host.name} has no power; this is what it said last`);
  else if (socket) notice('Ctrl-] leaves');
  else notice('another program holds this console: you can look, not type. Ctrl-] leaves');
  const { stdin } = process;
  if (stdin.isTTY) stdin.setRawMode(true);
  const typed = (bytes: Buffer): void => {
    const leave = bytes.indexOf(leaveKey);
    socket?.write(leave < 0 ? bytes : bytes.subarray(0, leave));
    if (leave >= 0) stop.abort();
  };
  stdin.on('data', typed);
  try {
    await exited(hostFiles(host.name), stop.signal).catch(() => {});
  } finally {
    stdin.off('data', typed);
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.pause();
    socket?.destroy();
    stop.abort();
    await output;
    process.stdout.write('\r\n');
  }
}

/**
 * Writes a host's serial log to standard output, and what is added to it.
 *
 * @throws the signal's reason when it is aborted
 */
export async function follow(log: string, signal: AbortSignal, scrollback = scrollbackBytes): Promise<void> {
  const file = await open(log, 'r');
  const { size } = await file.stat();
  await file.close();
  let shown = 0;
  for await (const text of growing(log, Math.max(0, size - scrollback), signal)) {
    process.stdout.write(Buffer.from(text.slice(shown), 'latin1'));
    shown = text.length;
  }
}

/** The console's input, or undefined if the host does not run or someone else has it. */
async function openInput(host: LabHost): Promise<Socket | undefined> {
  if (!(await host.running())) return undefined;
  using monitor = await connectMonitor(hostFiles(host.name).qmpSocket);
  const devices = (await monitor.ask('query-chardev')) as {
    label: string;
    filename: string;
  }[];
  const serial = devices.find((device) => device.label === 'serial');
  if (!serial?.filename.startsWith('disconnected:')) return undefined;
  const socket = connect(host.serialSocket);
  await once(socket, 'connect');
  // The log has it already; unread, it would stop QEMU from writing.
  socket.resume();
  socket.on('error', () => {});
  return socket;
}
