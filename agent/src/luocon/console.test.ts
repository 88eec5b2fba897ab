// SPDX-License-Identifier: Apache-2.0
/** `luocon console`: the serial console of a machine in a terminal. */
import { Socket } from 'node:net';
import { native } from '@luo-console/native';
import { describe, expect, it } from 'vitest';
import { serveAgent } from '../client/fake-agent.fixture.ts';
import { luocon } from './luocon.fixture.ts';
import { sampleMachine } from './machine.fixture.ts';

/** An agent whose machine's console talks to `guest`. */
function agentWithConsole(guest: (socket: Socket) => void): string {
  return serveAgent({
    GetMachine: async () => ({ machine: sampleMachine }),
    FetchConsole: async ({ pid }, call) => {
      expect(pid).toBe(100);
      const [ours, theirs] = native.sockets.socketPair();
      using handed = theirs;
      const fileDescriptor = call.attach(handed);
      guest(new Socket({ fd: ours.release(), readable: true, writable: true }));
      return { fileDescriptor };
    },
  }).address;
}

describe('luocon console', () => {
  it('passes on what the guest says until it ends', async () => {
    const address = agentWithConsole((socket) => socket.end('login: \u001b[1mroot'));
    const { status, stdout, stderr } = await luocon(['console', '100', '--host', address]);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'login: \u001b[1mroot', stderr: '' });
  });

  it('passes keys on, and leaves with Ctrl-]', async () => {
    let typed = '';
    const ended = Promise.withResolvers<void>();
    const address = agentWithConsole((socket) => {
      socket.on('data', (piece) => {
        typed += piece.toString();
      });
      socket.on('end', () => {
        socket.end();
        ended.resolve();
      });
    });
    const typing = { typed: 'ls\u0003\r\u001dnot this' };
    const { status, stderr } = await luocon(['console', '100', '--host', address], typing);
    await ended.promise;
    expect({ status, typed }).toEqual({ status: 0, typed: 'ls\u0003\r' });
    expect(stderr).toMatch(/^Serial console of one \(pid 100\)\. Ctrl-\] leaves\.\n/);
  });

  it('ends when it is interrupted', async () => {
    const interrupt = new AbortController();
    const address = agentWithConsole((socket) => {
      socket.write('still here');
      socket.on('error', () => undefined);
    });
    const { status, stdout } = await luocon(['console', '100', '--host', address], {
      signal: interrupt.signal,
      onOutput: () => interrupt.abort(new Error('interrupted')),
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'still here' });
  });

  it('needs the agent on this machine', async () => {
    const { status, stderr } = await luocon(['console', 'one', '--host', 'ssh://nowhere.invalid']);
    expect(status).toBe(2);
    expect(stderr).toContain('console needs an agent on this machine: ssh cannot pass descriptors');
  });
});
