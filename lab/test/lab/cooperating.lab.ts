// SPDX-License-Identifier: Apache-2.0
/**
 * VMMs that preserve and retrieve for themselves, in sessions that the agent lends them. The two examples of
 * lab/examples run side by side on one host. One update is held up by another machine, and one goes into the other
 * kernel.
 */
import type { AgentClient } from '@luo-console/agent/client';
import { localAddress } from '@luo-console/agent/places';
import { ConnectionLost } from '@luo-console/agent/varlink';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import {
  checksums,
  hostPrograms,
  installVmms,
  startWithHost,
  tryVmm,
  untilSaid,
  whatWasSaid,
} from '../support/cooperating.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';

const bothVmms = [
  { language: 'C', name: 'machine-c', program: hostPrograms.C },
  { language: 'TypeScript', name: 'machine-typescript', program: hostPrograms.TypeScript },
];
const agentInterface = `${localAddress} io.luoconsole.Agent`;
const bothNames = bothVmms.map(({ name }) => name);

describe('cooperating VMMs', () => {
  let host: LabHost;
  let agent: AgentClient;

  beforeAll(async () => {
    host = await freshHost('cooperating', { reuse: 'it gets services that start with it' });
    await installVmms(host);
    agent = await connect(host);
  });
  afterAll(async () => {
    await agent?.close();
    await host?.down();
  });

  const each = async (does: (name: string) => Promise<void>): Promise<void> =>
    void (await Promise.all(bothNames.map(does)));

  async function planForB(): Promise<string> {
    const { kernels } = await agent.call('ListKernels', {});
    const kernel = kernels.find(({ release }) => release.endsWith('-b'));
    if (!kernel) throw new Error('no kernel -b is installed');
    const { plan } = await agent.call('MakePlan', { kernel: kernel.path });
    expect(plan.checks.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
    return plan.id;
  }

  const directions = async (): Promise<Record<string, string>> => {
    const { sessions } = await agent.call('ListSessions', {});
    return Object.fromEntries(sessions.map(({ name, direction }) => [name, direction]));
  };

  describe.each(bothVmms)('in $language', ({ program }) => {
    it.each([
      { who: 'nobody in particular', group: undefined, needs: 'viewer' },
      { who: 'somebody who may only look', group: 'luo-console' as const, needs: 'operator' },
    ])('is refused a session as $who', async ({ group, needs }) => {
      const { code, stdout, stderr } = await tryVmm(host, 'refused', program, group);
      expect(stderr).toMatch(new RegExp(`PermissionDenied .*"needs":"${needs}"`));
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(await directions()).toEqual({});
    });
  });

  it('start a machine each, and preserve it in a session of their own', async () => {
    for (const { name, program } of bothVmms) await startWithHost(host, name, program);
    await each((name) => untilSaid(host, name, 'protected'));
    expect(await directions()).toEqual({ 'machine-c': 'outgoing', 'machine-typescript': 'outgoing' });
  });

  it.each(bothVmms)(
    'in $language start no second machine while the first runs',
    async ({ name, program }) => {
      const { code, stdout, stderr } = await tryVmm(host, name, program, 'luo-console-operator');
      expect(stderr).toContain(`session ${name} exists and no live update has carried it here`);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    },
  );

  it('stop when an update is about to leave, and run on when another machine cannot be carried over', async () => {
    await agent.call('CreateSession', { name: 'stubborn' });
    const script = [
      `varlinkctl call --more --json=short --timeout=infinity ${agentInterface}.AttendSession '{"name":"stubborn"}' > /run/told &`,
      `tail -n +1 -F /run/told | grep -q -m 1 '"still":true'`,
      ...bothNames.map((name) => `tail -n +1 -F /var/log/${name}.log | grep -q -m 1 '^suspended '`),
      `varlinkctl call ${agentInterface}.ReportStill '{"name":"stubborn","problem":"it is busy"}'`,
    ];
    await host.sh(['tee', '/run/stubborn.sh'], { input: `${script.join('\n')}\n` });
    await run(
      host,
      `: > /run/told && systemd-run --quiet --unit=stubborn sh /run/stubborn.sh && timeout 60 sh -c 'tail -n +1 -F /run/told | grep -q -m 1 still'`,
    );
    for await (const _ of agent.stream('RunUpdate', { plan: await planForB(), graceSeconds: 0 }));
    const { updates } = await agent.call('ListUpdates', { limit: 1 });
    expect(updates).toMatchObject([{ outcome: 'aborted', reason: 'session stubborn: it is busy' }]);
    await each((name) => untilSaid(host, name, 'resumed'));
    await agent.call('CloseSession', { name: 'stubborn' });
  });

  it('are carried over into the other kernel', async () => {
    // A lent session in which nobody preserved anything: it arrives as those of the VMMs do, but empty.
    await agent.call('CreateSession', { name: 'hollow' });
    await run(host, `varlinkctl call --exec ${agentInterface}.FetchSession '{"name":"hollow"}' -- true`);
    const bootId = await host.bootId();
    const update = async (): Promise<void> => {
      for await (const _ of agent.stream('RunUpdate', { plan: await planForB(), graceSeconds: 0 }));
    };
    await expect(update()).rejects.toBeInstanceOf(ConnectionLost);
    await host.waitForBoot(bootId);
    agent = await connect(host);
    expect((await run(host, 'uname -r')).trim()).toMatch(/-b$/);
    const { lastUpdate } = (await agent.call('GetStatus', {})).status;
    for await (const { update: settled } of agent.stream('FollowUpdate', { update: lastUpdate })) {
      if (settled !== null) expect(settled).toMatchObject({ outcome: 'updated', numberAfter: 1 });
    }
    await each((name) => untilSaid(host, name, 'protected', 2));
  });

  it.each(bothVmms)('in $language go on at the next count, with all of their memory', async ({ name }) => {
    // So that there is something after the last thing that was said.
    const arrived = (await whatWasSaid(host, name)).at(-1)?.count ?? 0;
    await untilSaid(host, name, `count ${arrived + 4}`);
    const said = await whatWasSaid(host, name);
    const happened = said.filter(({ what }) => what !== 'count').map(({ what }) => what);
    const before = ['created', 'protected', 'suspended', 'resumed', 'suspended'];
    expect(happened).toEqual([...before, 'retrieved', 'protected']);
    const counts = said.filter(({ what }) => what === 'count').map(({ count }) => count);
    expect(counts).toEqual(counts.map((_, index) => index + 1));
    const clocks = said.map(({ clock }) => clock);
    expect(clocks).toEqual([...clocks].sort((left, right) => left - right));
    const expected = checksums(said.at(-1)?.count ?? 0);
    expect(said.map(({ checksum }) => checksum)).toEqual(said.map(({ count }) => expected[count]));
  });

  it('have their sessions finished, and are preserved again for the next update', async () => {
    expect(await directions()).toEqual({
      'machine-c': 'outgoing',
      'machine-typescript': 'outgoing',
      hollow: 'incoming',
    });
    for (const { name } of bothVmms) {
      const { entries } = await agent.call('QueryJournal', { session: name, name: 'session.finish' });
      expect(entries.map(({ kind, ok }) => [kind, ok])).toEqual([
        ['result', true],
        ['act', null],
      ]);
    }
  });

  it.each(bothVmms)(
    'in $language start no new machine if the old one cannot be retrieved',
    async ({ program }) => {
      const { code, stdout, stderr } = await tryVmm(host, 'hollow', program, 'luo-console-operator');
      expect(stderr).toMatch(
        /session hollow: token 0x1000, the machine's memory: .*no other machine is started/,
      );
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(await directions()).toMatchObject({ hollow: 'incoming' });
    },
  );

  it('leave nothing incoming once the hollow one is finished', async () => {
    await agent.call('FinishSession', { name: 'hollow' });
    await agent.call('CloseSession', { name: 'hollow' });
    expect(await directions()).toEqual({ 'machine-c': 'outgoing', 'machine-typescript': 'outgoing' });
  });
});
