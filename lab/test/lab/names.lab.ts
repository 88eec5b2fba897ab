// SPDX-License-Identifier: Apache-2.0
/**
 * Names that others have too, under a real dpkg. Upstream's package `luo-agent`, with its `luod` and its `luoctl`, is
 * unharmed by ours, and no update begins while `luod` has the live update device. And our own package of the time
 * when it was called `luo-agent` is replaced, but never while it holds sessions.
 */
import type { Plan } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { startWithDevices } from '../support/device-guest.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { agentPackage, connect, freshHost } from '../support/host.ts';
import { digestOf, type HeldMemory, holdMemory, run } from '../support/memory.ts';
import { bringIn, bringPackage, digestsOf, dpkg, mustDpkg, upstreamPaths } from '../support/packages.ts';
import { carryOut, planFor } from '../support/update.ts';

const reuse = 'they install and remove packages';
const ours = 'luo-console-agent';

/** Fails unless our package is whole and its agent answers. */
async function expectOurs(host: LabHost): Promise<void> {
  // The lab's hosts have no documentation.
  const verified = `dpkg --verify ${ours} | grep -v ' /usr/share/doc'`;
  expect(await run(host, `dpkg-query -W -f '\${Status}' ${ours}; ${verified} || true`)).toBe(
    'install ok installed',
  );
  expect(JSON.parse(await run(host, 'luocon --json status')).status).toMatchObject({ phase: 'normal' });
}

describe('beside upstream’s package', () => {
  let host: LabHost;
  let deb: string;
  let before: Awaited<ReturnType<typeof upstream>>;

  beforeAll(async () => {
    host = await freshHost('names', { reuse });
    deb = await bringIn(host, agentPackage());
    // Our agent runs meanwhile, and does not keep the device from luod.
    await mustDpkg(host, '--install', await bringPackage(host, 'upstream', agentPackage()));
    // A member of a group that ours once had: nobody said that they may look.
    await run(host, 'useradd --no-create-home stranger && usermod -aG luo stranger');
    before = await upstream();
  });
  afterEach((context) => showLogsOfFailed(context, host));
  afterAll(() => host?.down());

  /** All there is of it: its package, its files, its unit with its process, and who has the device open. */
  async function upstream() {
    const properties = '-p ActiveState -p UnitFileState -p InvocationID luod.service';
    const pid = (await run(host, 'systemctl show -p MainPID --value luod.service')).trim();
    const device = await run(host, "find /proc/[0-9]*/fd -lname /dev/liveupdate -printf '%h\\n'");
    return {
      package: await run(host, `dpkg-query -W -f '\${Status}' luo-agent; dpkg --verify luo-agent`),
      files: await digestsOf(host, upstreamPaths),
      unit: await run(host, `systemctl show ${properties}`),
      members: await run(host, 'getent group luo | cut -d: -f4'),
      of: await run(host, 'id -Gn stranger'),
      pid,
      device,
    };
  }

  /** A plan as luocon makes it, and the check of who else has the device open. */
  async function planned(): Promise<{ code: number; runnable: boolean; check: object | undefined }> {
    const { code, stdout } = await host.sh('luocon --json plan /boot/vmlinuz-*-b');
    const { plan } = JSON.parse(stdout) as { plan: Plan };
    const check = plan.checks.find(({ name }) => name === 'other openers');
    return { code, runnable: plan.runnable, check };
  }

  it('luod has the device although our agent runs, which still answers', async () => {
    const { pid, device } = await upstream();
    expect(device).toBe(`/proc/${pid}/fd\n`);
    expect(before).toMatchObject({
      package: 'install ok installed',
      unit: expect.stringMatching(/ActiveState=active\n/),
      of: 'stranger luo\n',
    });
    await expectOurs(host);
  });

  it('no plan can be run, the check names luod, and no session can be created', async () => {
    const { pid } = await upstream();
    expect(await planned()).toEqual({
      code: 4,
      runnable: false,
      check: {
        name: 'other openers',
        verdict: 'fail',
        detail:
          `luod (pid ${pid}) has /dev/liveupdate open and keeps it while it runs; ` +
          'stop it before the update: systemctl stop luod',
      },
    });
    const { code, stderr } = await host.sh('luocon sessions create guests');
    expect(code).not.toBe(0);
    expect(stderr).toContain(`/dev/liveupdate is in use by luod (pid ${pid})`);
    expect(await upstream()).toEqual(before);
  });

  it.each([
    ['is installed again', () => mustDpkg(host, '--install', deb)],
    ['is removed', () => mustDpkg(host, '--remove', ours)],
    ['is purged', () => mustDpkg(host, '--purge', ours)],
    ['is installed anew', () => mustDpkg(host, '--install', deb)],
  ])('it is unharmed when ours %s', async (what, act) => {
    const said = await act();
    expect(said).not.toMatch(/luo-agent|group luo\b/);
    expect(await upstream()).toEqual(before);
    if (what.includes('installed')) await expectOurs(host);
  });

  it('once luod is stopped the plan can be run, with a warning while luod starts with the next kernel', async () => {
    await run(host, 'systemctl stop luod');
    expect(await planned()).toMatchObject({
      code: 0,
      runnable: true,
      check: { verdict: 'warn', detail: expect.stringContaining('systemctl disable luod') },
    });
    await run(host, 'systemctl disable --quiet luod');
    expect(await planned()).toMatchObject({
      code: 0,
      runnable: true,
      check: { verdict: 'pass', detail: 'no other process has /dev/liveupdate open' },
    });
    await run(host, 'systemctl enable --quiet luod');
  });

  it('sessions come through although luod starts with the next kernel, and are protected once it stops', async () => {
    const { memfds, pid: holder } = await holdMemory(host, [4]);
    await run(host, 'luocon sessions create guests');
    await run(host, `luocon preserve guests --pid ${holder} --fd ${memfds[0]?.fd}`);
    const agent = await connect(host);
    const done = await carryOut(host, agent, await planFor(agent, '-b'));
    expect(done.update).toMatchObject({ outcome: 'updated', carried: [{ verdict: 'match' }] });
    done.agent.close();

    // It has the device from the moment that our agent is ready.
    await run(host, 'timeout 300 systemctl start luod');
    const { pid, device, files } = await upstream();
    expect(device).toBe(`/proc/${pid}/fd\n`);
    expect(files).toBe(before.files);

    await run(host, 'systemctl stop luod');
    const failed = async (): Promise<string[]> => {
      const { plan } = JSON.parse((await host.sh('luocon --json plan /boot/vmlinuz-*-a')).stdout) as {
        plan: Plan;
      };
      return plan.checks.filter(({ verdict }) => verdict === 'fail').map(({ detail }) => detail);
    };
    await expect.poll(failed, { timeout: 300_000 }).toEqual([]);
    await run(host, 'luocon fetch guests 0x0 --output /run/fetched');
    expect((await run(host, 'sha256sum < /run/fetched')).slice(0, 64)).toBe(memfds[0]?.digest);
  });

  it('ours is unharmed when upstream’s is purged', async () => {
    await mustDpkg(host, '--purge', 'luo-agent');
    await expectOurs(host);
    expect(JSON.parse(await run(host, 'luocon --json sessions guests')).session).toMatchObject({
      direction: 'outgoing',
    });
  });
});

describe('our package of before', () => {
  let host: LabHost;
  let deb: string;
  let memory: HeldMemory;
  let machinePid: number;

  beforeAll(async () => {
    host = await freshHost('former', { reuse });
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
    expect((await host.sh(`dpkg-query -W -f '\${Status}' ${ours}`)).stdout).not.toContain(' installed');

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
    const { entries } = JSON.parse(await run(host, 'luocon --json journal --session guests'));
    expect(entries.map(({ name }: { name: string }) => name)).toContain('CloseSession');
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
