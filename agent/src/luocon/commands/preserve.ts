// SPDX-License-Identifier: Apache-2.0
/** `luocon preserve` and `luocon fetch`: memory into a session, and out of it again. */
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { Command } from 'commander';
import type { AgentClient } from '../../client/index.ts';
import type { Descriptor } from '../../interface/agent.generated.ts';
import { token as parseToken, wholeNumber } from '../arguments.ts';
import { type Act, type Invocation, required, UsageError } from '../invocation.ts';
import { size, words } from '../words/quantities.ts';

interface PreserveOptions {
  readonly pid?: number;
  readonly fd?: number;
  readonly file?: string;
  readonly stdinFd?: number;
  readonly token?: string;
  readonly label?: string;
}

/** Sends one of our own descriptors. */
async function push(agent: AgentClient, session: string, fd: number, { token, label }: PreserveOptions) {
  const { descriptors } = await import('@luo-console/native');
  let copy: ReturnType<typeof descriptors.duplicate>;
  try {
    copy = descriptors.duplicate(fd);
  } catch (error) {
    throw new UsageError(
      `--stdin-fd ${fd}: luocon has no such descriptor; redirect one to it, as in ${fd}<FILE`,
      { cause: error },
    );
  }
  using file = copy;
  const parameters = { session, fileDescriptor: 0, token: token ?? null, label: label ?? null };
  const { reply } = await agent.exchange('PreserveDescriptor', parameters, [file]);
  return reply;
}

function preserve(
  invocation: Invocation,
  session: string,
  options: PreserveOptions,
): (agent: AgentClient) => Promise<{ descriptor: Descriptor }> {
  const { pid, fd, file, stdinFd, token = null, label = null } = options;
  if ([pid ?? fd, file, stdinFd].filter((source) => source !== undefined).length !== 1) {
    throw new UsageError('preserve: expected one of --pid with --fd, --file, or --stdin-fd');
  }
  if (file !== undefined) {
    const path = invocation.hostPath(file);
    return (agent) => agent.call('PreserveFile', { session, path, token, label });
  }
  if (stdinFd !== undefined) {
    invocation.needLocal('--stdin-fd');
    return (agent) => push(agent, session, stdinFd, options);
  }
  if (pid === undefined || fd === undefined)
    throw new UsageError('preserve: expected --pid and --fd together');
  return (agent) => agent.call('PreserveFromProcess', { session, pid, fd, token, label });
}

const pieceBytes = 1_048_576;

/** Copies the contents of a fetched descriptor, piece by piece. @returns bytes copied */
async function copyTo(output: Writable, agent: AgentClient, session: string, token: string): Promise<number> {
  const { memory } = await import('@luo-console/native');
  const { reply, descriptors } = await agent.exchange('FetchDescriptor', { session, token });
  try {
    const file = descriptors[reply.fileDescriptor];
    if (file === undefined) throw new Error('the agent’s answer has no descriptor');
    const { size: bytes } = memory.fileFacts(file);
    let offset = 0n;
    while (offset < bytes) {
      const piece = memory.read(file, offset, pieceBytes);
      if (piece.length === 0) throw new Error(`${token}: ended after ${offset} of ${bytes} bytes`);
      if (!output.write(piece)) await new Promise((resume) => output.once('drain', resume));
      offset += BigInt(piece.length);
    }
    return Number(offset);
  } finally {
    for (const descriptor of descriptors) descriptor.close();
  }
}

async function fetchToFile(
  agent: AgentClient,
  session: string,
  token: string,
  path: string,
): Promise<number> {
  const output = createWriteStream(path, { flags: 'wx', mode: 0o600 });
  const written = finished(output);
  // Observed below; until then a failure to open must not count as unhandled.
  written.catch(() => undefined);
  let opened = false;
  output.once('open', () => {
    opened = true;
  });
  try {
    const bytes = await Promise.race([
      copyTo(output, agent, session, token),
      written.then((): never => {
        throw new Error(`${path}: closed too early`);
      }),
    ]);
    output.end();
    await written;
    return bytes;
  } catch (error) {
    output.destroy();
    if (opened) await rm(path, { force: true });
    throw error;
  }
}

export function addPreserve(program: Command, act: Act): void {
  program
    .command('preserve')
    .description('preserve a file, or a descriptor of a process, in a session')
    .argument('<session>', 'an outgoing session')
    .option('--pid <pid>', 'a running process, with --fd', wholeNumber(1))
    .option('--fd <number>', 'the number of a descriptor in that process', wholeNumber(0))
    .option('--file <path>', 'a file on the host; the agent preserves a copy in memory')
    .option('--stdin-fd <number>', 'a descriptor that luocon inherited', wholeNumber(0))
    .option('--token <token>', 'the token to preserve it under; if not given, the next free one', parseToken)
    .option('--label <text>', 'a description for people')
    .action(
      act<PreserveOptions>(async (invocation, [argument], options) => {
        const session = required(argument);
        const reply = await invocation.withAgent(preserve(invocation, session, options));
        const { token, kind, size: bytes } = reply.descriptor;
        if (invocation.json) invocation.screen.json(reply);
        else
          invocation.screen.line(
            `Preserved in session "${session}" under ${token}: ${words(kind)}, ${size(bytes)}.`,
          );
        return undefined;
      }),
    );
}

export function addFetch(program: Command, act: Act): void {
  program
    .command('fetch')
    .description('copy the contents of a preserved descriptor to a file or to standard output')
    .argument('<session>', 'the session')
    .argument('<token>', 'the descriptor', parseToken)
    .option('-o, --output <file>', 'the file to write; it must not exist')
    .action(
      act<{ output?: string }>(async (invocation, args, { output }) => {
        const [session, token] = [required(args[0]), required(args[1])];
        invocation.needLocal('fetch');
        const { screen, json } = invocation;
        if (output === undefined) {
          if (screen.output.isTTY === true)
            throw new UsageError('fetch: expected --output, because standard output is a terminal');
          if (json)
            throw new UsageError('fetch: --json needs --output, because the contents go to standard output');
          await invocation.withAgent((agent) => copyTo(screen.output, agent, session, token));
          return undefined;
        }
        const bytes = await invocation.withAgent((agent) => fetchToFile(agent, session, token, output));
        if (json) screen.json({ path: output, size: bytes });
        else screen.line(`${output}: ${size(bytes)} of ${token} in session "${session}".`);
        return undefined;
      }),
    );
}
