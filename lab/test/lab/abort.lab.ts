// SPDX-License-Identifier: Apache-2.0
/**
 * Aborts a live update, in every phase that allows it. Afterwards there is no session and no loaded kernel, and the
 * memory is as it was.
 */
import type { AgentClient } from '@luo-console/agent/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { connect, freshHost } from '../support/host.ts';
import { digestOf, type HeldMemory, holdMemory, run } from '../support/memory.ts';

describe('aborting a live update', () => {
  let host: LabHost;
  let agent: AgentClient;
  let memory: HeldMemory;

  beforeAll(async () => {
    host = await freshHost('abort', { reuse: true });
    memory = await holdMemory(host, [32, 8]);
    agent = await connect(host);
  });
  afterAll(async () => {
    await agent?.close();
    await host?.down();
  });

  /** Waits until logind has the agent's lock against a shutdown, or has it no more. */
  const waitForLock = async (isHeld: boolean): Promise<void> => {
    const look =
      'systemd-inhibit --list --no-legend --no-pager | grep -q "^LUO Console .* shutdown .* block$"';
    await run(host, `timeout 30 sh -c '${isHeld ? 'until' : 'while'} ${look}; do :; done'`);
  };

  for (const phase of ['preserving', 'prepared'] as const) {
    it(`in phase ${phase} leaves no session, no loaded kernel and the memory untouched`, async () => {
      const bootId = await host.bootId();
      await agent.call('CreateSession', { name: 'guest' });
      for (const { fd } of memory.memfds)
        await agent.call('PreserveFromProcess', { session: 'guest', pid: memory.pid, fd });
      const { kernels } = await agent.call('ListKernels', {});
      const kernel = kernels.find(({ release }) => release.endsWith('-b'));
      if (!kernel) throw new Error('no kernel -b is installed');
      const { plan } = await agent.call('MakePlan', { kernel: kernel.path });

      const other = await connect(host);
      let aborted: Promise<{ update: { outcome: string | null } }> | null = null;
      const seen: string[] = [];
      for await (const { progress } of agent.stream('RunUpdate', { plan: plan.id, graceSeconds: 120 })) {
        seen.push(progress.phase);
        if (progress.phase === phase && !aborted) {
          if (phase === 'prepared') await waitForLock(true);
          aborted = other.call('AbortUpdate', { reason: 'a test calls it off', closeSessions: true });
        }
      }
      const { update } = await (aborted ??
        Promise.reject(new Error(`phase ${phase} was not seen, only ${seen}`)));
      await other.close();

      expect(update.outcome).toBe('aborted');
      const { status } = await agent.call('GetStatus', {});
      expect(status).toMatchObject({ phase: 'normal', sessions: [], loadedKernel: null });
      expect((await run(host, 'cat /sys/kernel/kexec_loaded')).trim()).toBe('0');
      expect(await run(host, 'ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c luo_session || true')).toBe('0\n');
      for (const held of memory.memfds) expect(await digestOf(host, memory.pid, held.fd)).toBe(held.digest);
      await waitForLock(false);
      expect(await host.bootId()).toBe(bootId);
    });
  }

  it('is refused when there is nothing to abort', async () => {
    await expect(agent.call('AbortUpdate', {})).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.NothingToAbort',
    });
  });
});
