// SPDX-License-Identifier: Apache-2.0
/** Everything between the bridge's handlers and an agent, without a window, for tests of it. */
import { join } from 'node:path';
import { parseAddress } from '@luo-console/agent/client';
import { expect, onTestFinished, vi } from 'vitest';
import { systemClock } from '../src/connections/clock.ts';
import { Connections } from '../src/connections/connections.ts';
import { createConnector } from '../src/connections/connector.ts';
import { HostList } from '../src/hosts/host-list.ts';
import type { Host } from '../src/interface/bridge.generated.ts';
import { Replica } from '../src/replica/replica.ts';
import { Terminals } from '../src/terminals/terminals.ts';
import { FakeAgent } from './fake-agent.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** A console's main process without a window, and one host in its list. */
export function setUp(folder = temporaryFolder()) {
  const path = join(folder, 'agent.sock');
  const hosts = new HostList({ folder, checkAddress: parseAddress, onDamaged: () => undefined });
  const replica = new Replica(join(folder, 'replica.db'));
  const terminals = new Terminals();
  const { id } = hosts.addOrEdit({
    name: 'lab',
    address: `unix:${path}`,
    sshConfig: null,
    serialSocket: null,
  });
  const connections = new Connections({
    hosts,
    replica,
    clock: systemClock,
    connectorFor: (host) => createConnector(host, terminals, systemClock),
    log: () => undefined,
  });
  const seen: Host[] = [];
  const over = new AbortController();
  const watching = (async () => {
    for await (const { hosts: all } of connections.watch(over.signal)) if (all[0]) seen.push(all[0]);
  })();
  const end = async () => {
    over.abort();
    await watching;
    await connections.disconnectAll();
    replica.close();
  };
  let ended: Promise<void> | null = null;
  const endOnce = () => {
    ended ??= end();
    return ended;
  };
  onTestFinished(endOnce);
  const state = (wanted: Host['state']) =>
    vi.waitFor(() => expect(connections.view(id).state).toBe(wanted), 10_000);
  return { folder, path, id, hosts, connections, replica, seen, state, end: endOnce };
}

/** An agent on the socket of that host, ended with the test. */
export function startAgent(path: string): FakeAgent {
  const agent = new FakeAgent(path);
  onTestFinished(() => agent.close());
  return agent;
}
