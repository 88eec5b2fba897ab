// SPDX-License-Identifier: Apache-2.0
/** A client and its agent: calls, an agent that is not there, and the way by ssh. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AgentInterface } from '../interface/agent.generated.ts';
import { ConnectionLost, interfaceError, ProtocolError, serve } from '../varlink/index.ts';
import { connectAgent, isAgentError } from './agent-client.ts';
import { sampleSession, sampleStatus, serveAgent } from './fake-agent.fixture.ts';
import { AgentUnreachable } from './unreachable.ts';

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'client-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Stands in for ssh: makes the local socket of `-L` and passes its bytes on, as `relay` says. */
function fakeSsh(folder: string, target: string, relay = 'near.pipe(far).pipe(near);'): string {
  const program = join(folder, 'ssh');
  const script = `#!${process.execPath}
const net = require('node:net');
const [local] = process.argv[process.argv.indexOf('-L') + 1].split(':');
net.createServer((near) => {
  const far = net.connect(${JSON.stringify(target)});
  ${relay}
  far.on('error', () => near.destroy());
}).listen(local);
`;
  writeFileSync(program, script);
  chmodSync(program, 0o755);
  return program;
}

describe('a connected agent', () => {
  it('answers typed calls, complete with nulls for what was left out', async () => {
    const agent = serveAgent({
      GetStatus: async () => ({ status: { ...sampleStatus, progress: undefined } }),
    });
    const client = await connectAgent(agent.address);
    expect((await client.call('GetStatus', {})).status).toEqual(sampleStatus);
    client.close();
    expect(await client.closed).toBeNull();
  });

  it('streams beside calls', async () => {
    const agent = serveAgent({
      GetStatus: async (_, call) => {
        if (call.more) await call.reply({ status: sampleStatus });
        return { status: { ...sampleStatus, phase: 'preserving' } };
      },
      ListSessions: async () => ({ sessions: [sampleSession] }),
    });
    const client = await connectAgent(agent.address);
    const phases = [];
    for await (const { status } of client.stream('GetStatus', {})) {
      phases.push(status.phase);
      expect((await client.call('ListSessions', {})).sessions).toEqual([sampleSession]);
    }
    expect(phases).toEqual(['normal', 'preserving']);
    client.close();
  });

  it('passes descriptors both ways', async () => {
    const agent = serveAgent({
      FetchDescriptor: async ({ session }, call) => {
        using file = native.memory.memfdCreate('fetched');
        native.memory.truncate(file, 4n);
        expect(session).toBe('guests');
        const [descriptor] = sampleSession.descriptors;
        if (descriptor === undefined) throw new Error('the sample is empty');
        return { fileDescriptor: call.attach(file), descriptor };
      },
    });
    const client = await connectAgent(agent.address);
    const { reply, descriptors } = await client.exchange('FetchDescriptor', {
      session: 'guests',
      token: '0x1',
    });
    const file = descriptors[reply.fileDescriptor];
    expect(file && native.memory.fileFacts(file).size).toBe(4n);
    file?.close();
    client.close();
  });

  it('tells errors of the agent apart, with their parameters', async () => {
    const agent = serveAgent({
      GetSession: async ({ name }) => {
        throw interfaceError(AgentInterface, 'SessionNotFound', { name });
      },
      CreateSession: async () => {
        throw interfaceError(AgentInterface, 'DeviceBusy', { pid: 5 });
      },
    });
    const client = await connectAgent(agent.address);
    const error = await client.call('GetSession', { name: 'none' }).catch((caught: unknown) => caught);
    expect(isAgentError(error, 'SessionExists')).toBe(false);
    expect(isAgentError(error, 'SessionNotFound') && error.parameters.name).toBe('none');
    const busy = await client.call('CreateSession', { name: 'a' }).catch((caught: unknown) => caught);
    expect(isAgentError(busy, 'DeviceBusy') && busy.parameters).toEqual({ pid: 5, command: null });
    client.close();
  });

  it('loses its connection when the agent goes away', async () => {
    const agent = serveAgent({});
    const client = await connectAgent(agent.address);
    await agent.stop();
    expect(await client.closed).toBeInstanceOf(ConnectionLost);
    await expect(client.call('GetStatus', {})).rejects.toThrow(ConnectionLost);
  });

  it('refuses a reply that is not the interface', async () => {
    const agent = serveAgent({});
    await agent.stop();
    const listening = native.sockets.listenUnix(`${agent.path}2`);
    const info = { vendor: '', product: '', version: '', url: '' };
    const { methods } = AgentInterface;
    const loose = {
      ...AgentInterface,
      methods: { GetStatus: { ...methods.GetStatus, reply: methods.CloseSession.reply } },
    };
    const find = () => ({ method: loose.methods.GetStatus, handler: async () => ({}) });
    const server = serve({
      listening,
      info,
      interfaces: [{ definition: loose, find }],
      admit: () => true,
      log: () => {},
    });
    const client = await connectAgent(`${agent.address}2`);
    await expect(client.call('GetStatus', {})).rejects.toThrow(ProtocolError);
    await expect(client.call('GetStatus', {})).rejects.toThrow(
      "GetStatus: the agent's reply is not understood (status",
    );
    client.close();
    await server.close();
  });
});

describe('an agent that is not there', () => {
  it('no socket, nobody listening', async () => {
    const path = join(temporaryFolder(), 'agent');
    await expect(connectAgent(`unix:${path}`)).rejects.toThrow(
      `no agent at unix:${path}: the socket does not exist`,
    );
    native.sockets.listenUnix(path).close();
    await expect(connectAgent(`unix:${path}`)).rejects.toThrow('no program listens on the socket');
  });

  it('somebody else answers', async () => {
    const path = join(temporaryFolder(), 'agent');
    const info = { vendor: '', product: '', version: '', url: '' };
    const listening = native.sockets.listenUnix(path);
    const server = serve({ listening, info, interfaces: [], admit: () => true, log: () => {} });
    await expect(connectAgent(`unix:${path}`)).rejects.toThrow('does not offer io.luoconsole.Agent');
    await server.close();
  });
});

describe('by way of ssh', () => {
  it('talks through the forwarded socket, and ends ssh with the connection', async () => {
    const agent = serveAgent({ GetStatus: async () => ({ status: sampleStatus }) });
    const program = fakeSsh(temporaryFolder(), agent.path);
    const client = await connectAgent('ssh://root@lab:2222', { program });
    expect((await client.call('GetStatus', {})).status.hostName).toBe('lab-one');
    client.close();
    expect(await client.closed).toBeNull();
  });

  it('says so when ssh ends before it is connected, or cannot be run', async () => {
    const folder = temporaryFolder();
    const program = join(folder, 'ssh');
    writeFileSync(program, '#!/bin/sh\nexit 255\n', { mode: 0o755 });
    await expect(connectAgent('ssh://lab', { program })).rejects.toThrow(
      'ssh to lab ended before it was connected (status 255)',
    );
    await expect(connectAgent('ssh://lab', { program: '/nowhere/ssh' })).rejects.toThrow('not started');
  });

  it('says so when the host has no agent behind the socket', async () => {
    const program = fakeSsh(temporaryFolder(), '/nowhere/agent');
    const attempt = connectAgent('ssh://lab', { program });
    await expect(attempt).rejects.toThrow(AgentUnreachable);
    await expect(attempt).rejects.toThrow('the connection was closed before it answered');
  });

  it('loses its connection when ssh ends', async () => {
    const agent = serveAgent({});
    const exits = 'near.pipe(far); far.on("data", (data) => near.write(data, () => process.exit(1)));';
    const program = fakeSsh(temporaryFolder(), agent.path, exits);
    const client = await connectAgent('ssh://lab', { program });
    expect(await client.closed).toBeInstanceOf(ConnectionLost);
  });
});
