// SPDX-License-Identifier: Apache-2.0
/**
 * `luocon console`: a machine's serial console. On a terminal every key goes to the guest, and Ctrl-] leaves. In a
 * pipe, input goes to the guest and its output comes back, until the machine or luocon ends.
 */
import { Socket } from 'node:net';
import type { Command } from 'commander';
import type { AgentClient } from '../../client/index.ts';
import { type Act, type Invocation, required } from '../invocation.ts';
import type { Input, Output } from '../screen.ts';
import { findMachine } from '../words/machines.ts';

/** Ctrl-]: leaves, as in telnet(1). */
const leave = 0x1d;

/** @throws Error in the agent's words if there is no console */
async function connect(agent: AgentClient, pid: number): Promise<Socket> {
  const { reply, descriptors } = await agent.exchange('FetchConsole', { pid });
  const [descriptor] = descriptors.splice(reply.fileDescriptor, 1);
  for (const other of descriptors) other.close();
  if (descriptor === undefined) throw new Error('the agent’s answer has no descriptor for the console');
  return new Socket({ fd: descriptor.release(), readable: true, writable: true });
}

/** Passes bytes both ways. Resolves when the console ends, when the person leaves, or when luocon is interrupted. */
async function join(
  console: Socket,
  input: Input,
  output: Output,
  terminal: boolean,
  signal: AbortSignal,
): Promise<void> {
  const type = (piece: Buffer): void => {
    const end = terminal ? piece.indexOf(leave) : -1;
    if (end !== 0) console.write(end < 0 ? piece : piece.subarray(0, end));
    if (end >= 0) console.end();
  };
  const show = (piece: Buffer): void => {
    // A reader that is slow must not make us hold what the guest says.
    if (output.write(piece)) return;
    console.pause();
    output.once('drain', () => console.resume());
  };
  const interrupted = (): void => void console.destroy();
  signal.addEventListener('abort', interrupted);
  input.on('data', type);
  console.on('data', show);
  try {
    if (signal.aborted) interrupted();
    await new Promise<void>((resolve, reject) => {
      console.once('error', reject);
      console.once('close', () => resolve());
    });
  } finally {
    signal.removeEventListener('abort', interrupted);
    input.off('data', type);
    input.pause();
  }
}

async function run(invocation: Invocation, which: string): Promise<void> {
  const { screen, signal } = invocation;
  invocation.needLocal('console');
  const { input, output } = screen;
  const terminal = input.isTTY === true;
  await invocation.withAgent(async (agent) => {
    const { name, pid } = await findMachine(agent, which);
    const console = await connect(agent, pid);
    if (terminal) screen.complain(`Serial console of ${name} (pid ${pid}). Ctrl-] leaves.`);
    try {
      input.setRawMode?.(true);
      await join(console, input, output, terminal, signal);
    } finally {
      input.setRawMode?.(false);
    }
    if (terminal) screen.complain('\nConsole closed.');
  });
}

export function addConsole(program: Command, act: Act): void {
  program
    .command('console')
    .description('open the serial console of a machine; Ctrl-] leaves')
    .argument('<machine>', 'its name, or the pid of its VMM')
    .action(
      act(async (invocation, [which]) => {
        await run(invocation, required(which));
        return undefined;
      }),
    );
}
