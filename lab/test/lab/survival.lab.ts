// SPDX-License-Identifier: Apache-2.0
/**
 * Four things that must not cost anybody their memory or their agent. The agent is killed, the socket gets bad input, a
 * caller has no rights, or the host has no live update.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { connect, freshHost } from '../support/host.ts';
import { type HeldMemory, holdMemory, run } from '../support/memory.ts';

describe('the agent', () => {
  let host: LabHost;
  let memory: HeldMemory;

  beforeAll(async () => {
    host = await freshHost('survival', { reuse: true });
    memory = await holdMemory(host, [16]);
  });
  afterAll(() => host?.down());

  const mainPid = async (): Promise<string> =>
    (await run(host, 'systemctl show -p MainPID --value luo-console-agent')).trim();

  it('comes back after SIGKILL with every session and descriptor', async () => {
    const agent = await connect(host);
    await agent.call('CreateSession', { name: 'kept' });
    const [held] = memory.memfds;
    if (!held) throw new Error('no memfd is held');
    const { descriptor } = await agent.call('PreserveFromProcess', {
      session: 'kept',
      pid: memory.pid,
      fd: held.fd,
      label: 'guest memory',
    });
    await agent.close();
    const before = await mainPid();

    await run(host, 'systemctl kill -s KILL luo-console-agent');
    const again = await connect(host);
    const { session } = await again.call('GetSession', { name: 'kept' });
    expect(await mainPid()).not.toBe(before);
    expect(session).toMatchObject({
      direction: 'outgoing',
      descriptors: [{ token: descriptor.token, label: 'guest memory', inode: descriptor.inode }],
    });

    // The process is gone, so what is fetched now can only come from the agent's hands.
    await run(host, 'systemctl stop memory-holder');
    await run(host, `luocon fetch kept ${descriptor.token} --output /run/fetched`);
    expect((await run(host, 'sha256sum < /run/fetched')).slice(0, 64)).toBe(held.digest);
    await again.close();
  });

  it('answers or drops bad input, and stays up', async () => {
    const before = await mainPid();
    const send = (script: string): Promise<string> =>
      run(
        host,
        `/usr/lib/luo-console-agent/node -e '${script}' && varlinkctl info unix:/run/luo-console/io.luoconsole.Agent > /dev/null && echo up`,
      );
    const socket =
      'const s=require("net").connect("/run/luo-console/io.luoconsole.Agent");s.on("error",()=>{});s.on("close",()=>process.exit(0));';
    for (const bad of [
      's.write("{nonsense\\0")',
      's.write("[]\\0")',
      's.write(Buffer.alloc(2097152,120))',
      's.end("{\\"method\\":\\"io.luoconsole")',
      's.write("{\\"method\\":7}\\0")',
      's.write(Buffer.from([0,0,0]))',
    ]) {
      expect(await send(`${socket}${bad};setTimeout(()=>process.exit(0),2000)`)).toContain('up');
    }
    expect(await mainPid()).toBe(before);
  });

  it('lets group luo-console look and luo-console-operator act, and nobody else do either', async () => {
    const viewer = await connect(host, 'viewer');
    expect((await viewer.call('GetStatus', {})).status.you).toMatchObject({ user: 'viewer', role: 'viewer' });
    await expect(viewer.call('CreateSession', { name: 'mine' })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.PermissionDenied',
      parameters: { method: 'CreateSession', needs: 'operator', user: 'viewer' },
    });
    await viewer.close();

    const operator = await connect(host, 'operator');
    await operator.call('CreateSession', { name: 'mine' });
    await operator.call('CloseSession', { name: 'mine' });
    const { entries } = await operator.call('QueryJournal', { session: 'mine', limit: 10 });
    expect(entries.map(({ peer }) => peer?.user)).toContain('operator');
    expect((await operator.call('VerifyJournal', {})).intact).toBe(true);
    await operator.close();

    const nobody = await host.sh(`setpriv --reuid=65534 --regid=65534 --clear-groups luocon --json sessions`);
    expect(nobody.code).not.toBe(0);
    expect(nobody.stderr + nobody.stdout).toContain('PermissionDenied');
  });

  it('says what a shell needs to know, with an exit status to rely on', async () => {
    const { status } = JSON.parse(await run(host, 'luocon --json status'));
    expect(status.liveUpdate.availability).toBe('available');
    expect(await run(host, 'luocon sessions')).toContain('kept');
    expect((await host.sh('luocon sessions nothing')).code).not.toBe(0);
    expect((await host.sh('luocon nonsense')).code).not.toBe(0);
    await run(host, 'man -w luocon >/dev/null 2>&1 || test -e /usr/share/man/man1/luocon.1.gz');
    expect(await run(host, 'luo-console-agent --version')).toMatch(/\d+\.\d+\.\d+/);
  });
});

describe('a host without live update', () => {
  it.each([
    { arguments: ['liveupdate=off'], availability: 'not_enabled' },
    { arguments: ['kho=off'], availability: 'handover_off' },
  ])('started with $arguments says so, and the rest of the agent works', async (cause) => {
    const host = await freshHost(`without-${cause.availability.replaceAll('_', '-')}`, {
      kernelArguments: cause.arguments,
      reuse: 'it boots with other arguments',
    });
    try {
      const agent = await connect(host);
      const { status } = await agent.call('GetStatus', {});
      expect(status.liveUpdate.availability).toBe(cause.availability);
      await expect(agent.call('CreateSession', { name: 'a' })).rejects.toMatchObject({
        error: 'io.luoconsole.Agent.NoLiveUpdate',
        parameters: { availability: cause.availability },
      });
      expect((await agent.call('ListKernels', {})).kernels.length).toBeGreaterThan(1);
      await agent.close();
    } finally {
      await host.down();
    }
  });
});
