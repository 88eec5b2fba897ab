// SPDX-License-Identifier: Apache-2.0
/**
 * Beside upstream's package under a real dpkg: `luo-agent`, with its `luod` and its `luoctl`, is unharmed by whatever is
 * done with ours. No update begins while `luod` has the live update device, and none is harmed by a `luod` that starts
 * with the next kernel.
 */
import type { Plan } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { agentPackage, connect, freshHost } from '../support/host.ts';
import { holdMemory, run } from '../support/memory.ts';
import {
  bringIn,
  bringPackage,
  digestsOf,
  expectOurs,
  mustDpkg,
  ours,
  upstreamPaths,
} from '../support/packages.ts';
import { carryOut, planFor } from '../support/update.ts';

const reuse = 'they install and remove packages';

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
