// SPDX-License-Identifier: Apache-2.0
/** The agent on this machine, or any whose socket is in reach here: no ssh in between. */
import { SocketLink } from './agent-link.ts';
import type { Clock } from './clock.ts';
import { firstAnswer } from './first-answer.ts';
import type { Connector } from './link.ts';

const explanations: Readonly<Record<string, string>> = {
  ENOENT: 'the socket does not exist; is luo-console-agent running?',
  ECONNREFUSED: 'nobody listens there; is luo-console-agent running?',
  EACCES: 'not permitted; are you in group luo-console or luo-console-operator?',
};

/** Connects to the agent's socket at `path`. */
export function createLocalConnector(path: string, clock: Clock): Connector {
  return {
    async open({ signal }) {
      const link = new SocketLink(path);
      const stop = () => void link.close();
      signal.addEventListener('abort', stop, { once: true });
      try {
        // One attempt: whoever waits for a host to come back opens again.
        return await firstAnswer({ link, clock, signal, forMs: 0 });
      } catch (error) {
        await link.close();
        const { code, message } = error as NodeJS.ErrnoException;
        throw new Error(`${path}: ${explanations[code ?? ''] ?? message}`, { cause: error });
      } finally {
        signal.removeEventListener('abort', stop);
      }
    },
  };
}
