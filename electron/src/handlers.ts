// SPDX-License-Identifier: Apache-2.0
/** The table of handlers: what each method of the console's interface does. */

import type { Handlers } from './bridge/dispatch.ts';
import type { Connections } from './connections/connections.ts';
import type { HostList } from './hosts/host-list.ts';
import type { Appearance } from './interface/bridge.generated.ts';
import type { GivenImage } from './saving/image.ts';
import type { HostTerminals } from './terminals/host-terminals.ts';
import { checkSize, type Terminals } from './terminals/terminals.ts';

export interface HandlerOptions {
  readonly hosts: HostList;
  readonly connections: Connections;
  readonly terminals: Terminals;
  readonly hostTerminals: HostTerminals;
  readonly appearance: { get(): Appearance; set(appearance: Appearance): void };
  /** Asks where to and writes the journal of a host; `path` is null if the person cancelled. */
  readonly saveJournal: (host: string) => Promise<{ path: string | null; entries: number }>;
  /** Asks where to and writes a picture. */
  readonly saveImage: (image: GivenImage) => Promise<{ path: string | null }>;
}

/** The handlers over the parts of the console that do the work. */
export function createHandlers(options: HandlerOptions): Handlers {
  const { hosts, connections, terminals, hostTerminals, appearance, saveJournal, saveImage } = options;
  return {
    WatchHosts: (_parameters, signal) => connections.watch(signal),
    AddHost: (fields) => ({ host: connections.added(hosts.add(fields)) }),
    EditHost: async ({ id, ...fields }) => ({ host: await connections.edit(id, fields) }),
    RemoveHost: async ({ id }) => {
      await connections.remove(id);
      return {};
    },
    Connect: ({ id }) => {
      connections.connect(id);
      return {};
    },
    Disconnect: async ({ id }) => {
      await connections.disconnect(id);
      return {};
    },
    CallAgent: async ({ host, method, parameters }) => ({
      parameters: await connections.call(host, method, parameters),
    }),
    ReadAgent: async ({ host, method, parameters }) => ({
      ...(await connections.read(host, method, parameters)),
    }),
    FollowAgent: async function* ({ host, method, parameters }, signal) {
      for await (const reply of connections.follow(host, method, parameters, signal))
        yield { parameters: reply };
    },
    OpenTerminal: async ({ host, ...wish }) => {
      checkSize(wish.columns, wish.rows);
      return { terminal: await hostTerminals.open(hosts.get(host), wish) };
    },
    WatchTerminal: ({ terminal }, signal) => terminals.get(terminal).watch(signal),
    WriteTerminal: ({ terminal, data }) => {
      terminals.get(terminal).write(data);
      return {};
    },
    ResizeTerminal: ({ terminal, columns, rows }) => {
      checkSize(columns, rows);
      terminals.get(terminal).resize(columns, rows);
      return {};
    },
    CloseTerminal: ({ terminal }) => {
      hostTerminals.close(terminal);
      return {};
    },
    SaveJournal: ({ host }) => saveJournal(host),
    SaveImage: (image) => saveImage(image),
    GetAppearance: () => ({ appearance: appearance.get() }),
    SetAppearance: (parameters) => {
      appearance.set(parameters.appearance);
      return {};
    },
  };
}
