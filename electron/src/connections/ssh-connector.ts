// SPDX-License-Identifier: Apache-2.0
/**
 * The agent of another machine, through the system's own ssh. It forwards the agent's socket to one in a
 * private folder here. The process runs in a separate terminal, where ssh asks its questions as it always
 * does. The window shows that terminal while ssh waits. When the socket appears, the host has let ssh in.
 * When the agent answers behind it, the host is connected.
 */
import { VarlinkError } from '@luo-console/agent/varlink';
import { startProgram } from '../terminals/program-source.ts';
import type { Terminal } from '../terminals/terminal.ts';
import type { Terminals } from '../terminals/terminals.ts';
import { SocketLink } from './agent-link.ts';
import type { Clock } from './clock.ts';
import { firstAnswer } from './first-answer.ts';
import type { Connector, OpenedLink, OpenOptions } from './link.ts';
import { createSocketFolder, type SocketFolder } from './socket-folder.ts';
import { type Command, connectSeconds } from './ssh-command.ts';
import { allWords, asksSomething, lastWords } from './ssh-prompt.ts';

export interface SshOptions {
  /**
   * The command that forwards the agent's socket to the one given. It gives up if not let in within so many
   * seconds.
   */
  readonly command: (socket: string, seconds: number) => Command;
  readonly terminals: Terminals;
  readonly clock: Clock;
}

/** Milliseconds for which an agent that does not answer is asked again on the first connect. */
const firstConnectMs = 20_000;
/** Milliseconds of silence after which an unfinished line counts as a question. */
const silenceMs = 200;

/** Reports when ssh begins and ceases to wait for a person, until `signal` aborts. */
function watchForPrompt(
  terminal: Terminal,
  clock: Clock,
  signal: AbortSignal,
  onPrompt: OpenOptions['onPrompt'],
) {
  let latest = 0;
  let shown = false;
  const look = async () => {
    latest += 1;
    const mine = latest;
    if (asksSomething(terminal.text)) await clock.sleep(silenceMs, signal);
    if (mine !== latest || signal.aborted) return;
    const asks = asksSomething(terminal.text) && !terminal.ended;
    if (asks === shown) return;
    shown = asks;
    onPrompt(asks ? terminal.id : null);
  };
  const stop = terminal.onText(() => void look());
  signal.addEventListener('abort', () => {
    stop();
    if (shown) onPrompt(null);
  });
}

/** Resolves when the socket is there; rejects with ssh's last words if it ends first. */
async function letIn(terminal: Terminal, folder: SocketFolder, signal: AbortSignal): Promise<void> {
  const ended = terminal.whenEnded().then((exitCode) => {
    throw new Error(lastWords(terminal.text) || `ssh ended with exit code ${exitCode}`);
  });
  await Promise.race([folder.whenThere(signal), ended]);
}

/** Why a host could not be connected: in ssh's words if it has any, otherwise by how far it came. */
function explain(error: unknown, terminal: Terminal, folder: SocketFolder): string {
  const words = allWords(terminal.text);
  // An agent's own refusal says more than anything around it.
  if (error instanceof VarlinkError) return error.message;
  if (terminal.ended || !folder.isThere()) return words || (error as Error).message;
  const detail = words || (error as Error).message;
  return `ssh is connected, but no agent answers on the host; is luo-console-agent running there? (${detail})`;
}

/** @param seconds that ssh may take to be let in */
async function openThroughSsh(
  options: SshOptions,
  { signal, patient, onPrompt }: OpenOptions,
  seconds: number,
): Promise<OpenedLink> {
  const { command, terminals, clock } = options;
  const folder = await createSocketFolder();
  if (signal.aborted) {
    await folder.remove();
    throw signal.reason;
  }
  const terminal = terminals.open(
    startProgram({ ...command(folder.socket, seconds), columns: 100, rows: 24 }),
  );
  const link = new SocketLink(folder.socket, async () => {
    terminal.end();
    await terminal.whenEnded();
    terminals.drop(terminal.id);
    await folder.remove();
  });
  const opening = new AbortController();
  const stop = () => void link.close();
  signal.addEventListener('abort', stop, { once: true });
  terminal.whenEnded().then(() => link.end(lastWords(terminal.text) || 'ssh ended'));
  watchForPrompt(terminal, clock, opening.signal, onPrompt);
  try {
    await letIn(terminal, folder, opening.signal);
    const forMs = patient ? Number.POSITIVE_INFINITY : firstConnectMs;
    return await firstAnswer({ link, clock, signal: AbortSignal.any([signal, link.ended]), forMs });
  } catch (error) {
    const reason = explain(error, terminal, folder);
    await link.close();
    throw new Error(reason, { cause: error });
  } finally {
    opening.abort();
    signal.removeEventListener('abort', stop);
  }
}

/** Connects by running ssh again for each attempt. */
export function createSshConnector(options: SshOptions): Connector {
  let attempt = 0;
  return {
    async open(request) {
      const seconds = connectSeconds(request.patient ? attempt : null);
      attempt = request.patient ? attempt + 1 : 0;
      const opened = await openThroughSsh(options, request, seconds);
      attempt = 0;
      return opened;
    },
  };
}
