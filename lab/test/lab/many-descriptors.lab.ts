// SPDX-License-Identifier: Apache-2.0
/**
 * Thousands of descriptors in one session. Each limit on the way would show here. A message has one, and what the service
 * manager keeps and hands back. So have a manifest and the record of an update.
 */
import type { AgentClient } from '@luo-console/agent/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { installScript, nodeInHost } from '../../bench/host.ts';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { carryOut, planFor } from '../support/update.ts';

const count = 3000;
const session = `agent-${count}-0`;
/** The files whose contents are looked at: the first and the last one, and one between them. */
const looked = [0, 1234, count - 1];

describe(`${count} descriptors in one session`, () => {
  let host: LabHost;
  let agent: AgentClient;

  beforeAll(async () => {
    host = await freshHost('many-descriptors', { reuse: true });
    agent = await connect(host);
  });
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  const expectAll = async (verdict: 'unchecked' | 'match', carried: number): Promise<void> => {
    const { session: found } = await agent.call('GetSession', { name: session });
    expect(found).toMatchObject({ direction: 'outgoing', carried });
    expect(found.descriptors).toHaveLength(count);
    expect(new Set(found.descriptors.map((each) => each.verdict))).toEqual(new Set([verdict]));
    expect(new Set(found.descriptors.map(({ inode }) => inode)).size).toBe(count);
    for (const number of looked) {
      const token = found.descriptors[number]?.token ?? '';
      await run(host, `luocon fetch ${session} ${token} --output /run/fetched`);
      expect(await run(host, 'head -n 1 /run/fetched')).toBe(`number ${number}\n`);
      await run(host, 'rm /run/fetched');
    }
  };

  it('are preserved, and the journal has them in a few acts', async () => {
    const program = await installScript(host, 'descriptors/agent-program.ts');
    expect(await run(host, `${nodeInHost} ${program} preserve ${count}x1`)).toMatch(/^done$/m);
    await expectAll('unchecked', 0);
    const { entries, more } = await agent.call('QueryJournal', { name: 'session.preserve', limit: 100 });
    expect(more).toBe(true);
    expect(entries.every(({ parameters }) => Array.isArray(parameters['descriptors']))).toBe(true);
    expect(entries.at(0)?.sequence).toBeLessThan(count / 10);
  });

  it('are all there when the agent is killed', async () => {
    agent.close();
    await run(host, 'systemctl kill -s KILL luo-console-agent');
    agent = await connect(host);
    await expectAll('unchecked', 0);
  });

  it('are all there in the next kernel, unchanged, and are protected again', async () => {
    const done = await carryOut(host, agent, await planFor(agent, '-b'));
    agent = done.agent;
    expect(done.update).toMatchObject({ outcome: 'updated' });
    expect(done.update.carried).toHaveLength(count);
    await expectAll('match', 1);
  });

  it('are all there after "systemctl kexec" by hand: the service manager lets what it cannot carry over be', async () => {
    await run(host, 'luocon kernels load $(ls /boot/vmlinuz-*-a)');
    const bootId = await host.bootId();
    agent.close();
    // The connection ends with the kernel.
    await host.sh('systemctl kexec');
    await host.waitForBoot(bootId);
    agent = await connect(host);
    // Nobody has an update to follow here. Sessions are built again while the agent answers.
    for await (const { status } of agent.stream('GetStatus', {})) if (status.phase === 'normal') break;
    await expectAll('match', 2);
  });
});
