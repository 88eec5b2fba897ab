// SPDX-License-Identifier: Apache-2.0
/**
 * Our own package of the time when it was called `luo-agent`, under a real dpkg. Today's takes its place with journal,
 * definitions and members, but never while the old one holds sessions. The old one is made of today's package with the
 * names of before.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { startWithDevices } from '../support/device-guest.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { agentPackage, freshHost } from '../support/host.ts';
import { digestOf, type HeldMemory, holdMemory, run } from '../support/memory.ts';
import { bringIn, bringPackage, dpkg, expectOurs, mustDpkg, ours } from '../support/packages.ts';

describe('our package of before', () => {
  let host: LabHost;
  let deb: string;
  let memory: HeldMemory;
  let machinePid: number;

  beforeAll(async () => {
    host = await freshHost('former', { reuse: 'they install and remove packages' });
    deb = await bringIn(host, agentPackage());
    const former = await bringPackage(host, 'former', agentPackage());
    // The host as it was before ours had its name of today.
    await mustDpkg(host, '--purge', ours);
    await run(host, 'groupdel luo-console && groupdel luo-console-operator');
    await mustDpkg(host, '--install', former);
    await run(host, 'usermod -aG luo viewer && usermod -aG luo-operator operator');
    // A name that no user has any more.
    await run(host, "sed -i 's/^luo:.*/&,ghost/' /etc/group");
    await host.sh(['tee', '/etc/luo-agent/machines/web.json'], { input: '{}\n' });
    memory = await holdMemory(host, [4]);
    machinePid = await startWithDevices(host, 'scrambled', { 300: 'device0', 301: 'memory0', 302: 'iommu0' });
  });
  afterEach((context) => showLogsOfFailed(context, host));
  afterAll(() => host?.down());

  async function createSession(name: string): Promise<void> {
    const [held] = memory.memfds;
    await run(host, `luoctl sessions create ${name}`);
    await run(host, `luoctl preserve ${name} --pid ${memory.pid} --fd ${held?.fd}`);
  }

  /** What a refused installation must leave as it is. */
  async function formerAgent(): Promise<object> {
    const properties = '-p ActiveState -p NFileDescriptorStore luo-agent.service';
    return {
      agent: await run(host, `systemctl show ${properties}`),
      sessions: JSON.parse(await run(host, 'luoctl --json sessions')).sessions,
      files: await run(host, 'ls /var/lib/luo-agent/journal.db /etc/luo-agent/machines/*'),
      // Nothing of the new one.
      new: await run(host, 'find /var/lib /etc /usr/bin /usr/lib -maxdepth 1 -name "luo*" | sort'),
    };
  }

  it('stays while it holds sessions: the installation is refused with the commands to release them', async () => {
    await createSession('guests');
    await run(host, 'luoctl adopt scrambled');
    const before = await formerAgent();
    expect(before).toMatchObject({ sessions: [{ name: 'guests' }, { name: 'machine:scrambled' }] });

    const { code, stderr } = await dpkg(host, '--install', deb);
    expect(code).not.toBe(0);
    expect(stderr).toContain('the new one cannot take them over:\n\n    guests\n    machine:scrambled\n\n');
    const commands = [...stderr.matchAll(/^ {4}(luoctl .+)$/gm)].map(([, command]) => command);
    expect(commands).toEqual(["luoctl sessions close 'guests'", "luoctl release 'scrambled'"]);
    expect(await formerAgent()).toEqual(before);
    expect((await host.sh(`dpkg-query -W -f '\${Status}' luo-console-agent`)).stdout).not.toContain(
      ' installed',
    );

    // A stopped agent's sessions are in the service manager's store.
    await run(host, 'systemctl stop luo-agent.socket luo-agent.service');
    const stopped = await dpkg(host, '--install', deb);
    expect(stopped.code).not.toBe(0);
    expect(stopped.stderr).toMatch(/The service manager still keeps \d+ descriptors/);
    await run(host, 'systemctl start luo-agent.socket luo-agent.service');
    expect(await formerAgent()).toEqual(before);

    // The commands do what they are said to do, and the machine runs on.
    for (const command of commands) await run(host, `${command}`);
    expect(await formerAgent()).toMatchObject({ sessions: [] });
    expect(await run(host, 'cat /run/scrambled.pid')).toBe(`${machinePid}\n`);
    await run(host, `kill -0 ${machinePid}`);
  });

  it('stays when it is given a session while ours is being installed', async () => {
    await mustDpkg(host, '--unpack', deb);
    await createSession('late');
    const { code, stderr } = await dpkg(host, '--configure', ours);
    expect(code).not.toBe(0);
    expect(stderr).toContain('luo-agent holds sessions again');
    expect(await formerAgent()).toMatchObject({
      agent: expect.stringContaining('ActiveState=active'),
      sessions: [{ name: 'late' }],
      files: expect.stringContaining('/var/lib/luo-agent/journal.db\n'),
    });
    const [held] = memory.memfds;
    expect(await digestOf(host, memory.pid, held?.fd ?? NaN)).toBe(held?.digest);
    await run(host, 'luoctl sessions close late');
  });

  it('hands over its journal, its definitions and its members, and says so', async () => {
    const said = await mustDpkg(host, '--configure', ours);
    for (const words of [
      '/var/lib/luo-agent is now /var/lib/luo-console\n',
      '/etc/luo-agent is now /etc/luo-console\n',
      'members of group luo are now members of luo-console too: viewer\n',
      'members of group luo-operator are now members of luo-console-operator too: operator\n',
      'the package luo-agent is of no more use; remove it: apt-get purge luo-agent\n',
    ])
      expect(said).toContain(`luo-console-agent: ${words}`);
    await expectOurs(host);

    expect(await run(host, 'cat /etc/luo-console/machines/web.json')).toBe('{}\n');
    expect((await host.sh('ls -d /var/lib/luo-agent /etc/luo-agent')).stdout).toBe('');
    expect(await run(host, 'getent group luo-console luo-console-operator | cut -d: -f1,4')).toBe(
      'luo-console:viewer\nluo-console-operator:operator\n',
    );
    expect((await host.sh('getent passwd ghost')).code).not.toBe(0);
    const state = 'systemctl show -p ActiveState -p UnitFileState --value luo-agent.socket luo-agent.service';
    expect((await run(host, state)).split('\n').filter(Boolean)).toEqual([
      'inactive',
      'disabled',
      'inactive',
      'disabled',
    ]);

    // One journal: what the old agent did is in it, and the chain is whole.
    await run(host, 'luocon journal --verify');
    const entries = await run(host, 'luocon --json journal --session guests');
    expect(entries).toMatch(/"name":"session.close".*"command":"luoctl"/);
    // The machine runs on and is taken in again, as preinst said.
    await run(host, 'luocon adopt scrambled');
  });

  it('can be purged then, and ours keeps everything', async () => {
    await mustDpkg(host, '--purge', 'luo-agent');
    await expectOurs(host);
    expect(JSON.parse(await run(host, 'luocon --json sessions')).sessions).toMatchObject([
      { name: 'machine:scrambled' },
    ]);
    await run(host, 'luocon journal --verify');
    expect(await run(host, 'cat /etc/luo-console/machines/web.json')).toBe('{}\n');
    expect(await run(host, 'getent group luo-console-operator | cut -d: -f4')).toBe('operator\n');
  });
});
