// SPDX-License-Identifier: Apache-2.0
/**
 * A real Varlink server on a real Unix socket, with the agent's interface and made-up answers. It is for
 * tests of everything on the console's side of that socket. Only what the tests ask for is answered.
 */
import { rmSync } from 'node:fs';
import {
  AgentInterface,
  type Entry,
  type HeldMachine,
  type Phase,
  type Session,
  type Status,
} from '@luo-console/agent/interface';
import {
  createService,
  type Handlers,
  interfaceError,
  type Server,
  serve,
  serviceError,
} from '@luo-console/agent/varlink';
import { native } from '@luo-console/native';
import { sampleStatus } from './samples.ts';

const unused = async (): Promise<never> => {
  throw new Error('not answered by this agent');
};

/** An agent that a test can change while it runs. */
export class FakeAgent {
  readonly path: string;
  status: Status = sampleStatus();
  entries: Entry[] = [];
  sessions: Session[] = [];
  /** Null for an agent so old that it does not know the question. */
  heldMachines: HeldMachine[] | null = [];
  /** Waited for before `ListCandidates` is answered. */
  beforeListCandidates: () => Promise<void> = async () => undefined;
  #server: Server;
  #closed = false;
  #news = Promise.withResolvers<void>();

  constructor(path: string) {
    this.path = path;
    this.#server = serve({
      listening: native.sockets.listenUnix(path, { mode: 0o600 }),
      info: { vendor: 'LUO Console', product: 'fake agent', version: '0', url: 'about:blank' },
      interfaces: [createService(AgentInterface, this.#handlers())],
      admit: () => true,
      log: () => undefined,
    });
  }

  /** Changes the phase and tells those who follow the status. */
  enter(phase: Phase): void {
    this.status = { ...this.status, phase };
    this.#announce();
  }

  append(entry: Entry): void {
    this.entries.push(entry);
    this.#announce();
  }

  /** Ends as with the kernel: every connection is closed and the socket is gone. Closing twice does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    rmSync(this.path);
    await this.#server.close();
  }

  #announce(): void {
    this.#news.resolve();
    this.#news = Promise.withResolvers<void>();
  }

  #handlers(): Handlers<typeof AgentInterface> {
    const names = Object.keys(AgentInterface.methods);
    const rest = Object.fromEntries(names.map((name) => [name, unused])) as unknown as Handlers<
      typeof AgentInterface
    >;
    return {
      ...rest,
      GetStatus: async (_parameters, call) => {
        while (call.more && !call.signal.aborted) {
          const news = this.#news.promise;
          await call.reply({ status: this.status });
          await Promise.race([
            news,
            new Promise((resolve) => call.signal.addEventListener('abort', resolve)),
          ]);
        }
        return { status: this.status };
      },
      ListSessions: async () => ({ sessions: this.sessions }),
      ListHeldMachines: async () => {
        if (this.heldMachines) return { machines: this.heldMachines };
        throw serviceError.methodNotFound(`${AgentInterface.name}.ListHeldMachines`);
      },
      ListUpdates: async () => ({ updates: [], more: false }),
      ListCandidates: async () => {
        await this.beforeListCandidates();
        return { processes: [] };
      },
      GetSession: async ({ name }) => {
        const session = this.sessions.find((known) => known.name === name);
        if (!session) throw interfaceError(AgentInterface, 'SessionNotFound', { name });
        return { session };
      },
      QueryJournal: async ({ after, before }) => ({
        entries: this.entries.filter(({ sequence }) => sequence > (after ?? 0) && sequence < (before ?? 1e9)),
        more: false,
      }),
      FollowJournal: async ({ after }, call) => {
        let position = after ?? 0;
        while (!call.signal.aborted) {
          const news = this.#news.promise;
          const fresh = this.entries.filter(({ sequence }) => sequence > position);
          if (fresh.length > 0) {
            await call.reply({ entries: fresh });
            position = fresh.at(-1)?.sequence ?? position;
          } else {
            await Promise.race([
              news,
              new Promise((resolve) => call.signal.addEventListener('abort', resolve)),
            ]);
          }
        }
        return { entries: [] };
      },
      ExportJournal: async (_parameters, call) => {
        for (const entry of this.entries) await call.reply({ lines: `${JSON.stringify(entry)}\n` });
        return { lines: '' };
      },
    };
  }
}
