// SPDX-License-Identifier: Apache-2.0
/**
 * A machine that runs with KVM, and a next kernel that has KVM as modules, as distributions do. The host's own boot loads
 * them late, and here it does not load them at all. So the carrier loads them, with the administrator's options. A plan
 * says before that they are not installed. One that cannot be loaded costs no machine: it is held, and goes on later.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { Check, Plan } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildKernelWithModules, type KernelWithModules, type LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { expectUnharmed, type Guest, installGuests, startGuest } from '../support/guest.ts';
import { connect, freshHost, waitForNeeds } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { blackoutLine, broughtBackBy, carryOut, expectWholeBlackout, planFor } from '../support/update.ts';

/** For what compiles a kernel if it is not in the cache; only ends what hangs. */
const compileMs = 3_600_000;
const settings = '/etc/modprobe.d/kvm.conf';
/** Nothing loads it because there is a processor for it; and a value that is not the usual one. */
const settingsText = 'blacklist kvm_amd\noptions kvm_amd nested=0\n';

describe('a machine with KVM', () => {
  let host: LabHost;
  let kernel: KernelWithModules;
  let agent: AgentClient;
  let guest: Guest;

  beforeAll(async () => {
    kernel = await buildKernelWithModules();
    host = await freshHost('modules', { reuse: 'it gets a kernel with modules' });
    await installGuests(host);
    await host.copyIn([kernel.image, kernel.config], '/boot');
    await host.sh(['tee', settings], { input: settingsText });
    guest = await startGuest(host, { name: 'fast', kind: 'bare', memory: 'shared', accelerator: 'kvm' });
    agent = await connect(host);
    await agent.call('AdoptMachine', { pid: guest.pid, unlink: null });
  }, compileMs);
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  const directory = () => `/lib/modules/${kernel.release}`;
  const checkOf = ({ checks }: Plan, name: string): Check | undefined =>
    checks.find((check) => check.name === name);
  /** What the carrier said of loading modules. */
  const carrierLog = (): Promise<string> => run(host, 'grep -a module /run/luo-carrier/log');

  it('does not go into a kernel whose modules are not installed', async () => {
    const plan = await planFor(agent, '-m');
    expect(checkOf(plan, 'devices')).toMatchObject({
      verdict: 'fail',
      detail: expect.stringContaining(
        `fast needs /dev/kvm, but its module kvm_amd is not in ${directory()}.`,
      ),
    });
    expect(plan.runnable).toBe(false);
  });

  it('runs on in a kernel with modules, which the carrier loads', async () => {
    await run(host, 'mkdir -p /lib/modules');
    await host.copyIn([kernel.modules], '/lib/modules');
    await run(host, `depmod ${kernel.release}`);
    const plan = await planFor(agent, '-m');
    expect(checkOf(plan, 'devices')?.detail).toBe(
      `${kernel.release} makes every device that a machine needs`,
    );
    expect(checkOf(plan, 'arrival')).toMatchObject({
      verdict: 'pass',
      detail: expect.stringContaining('fast waits for /dev/kvm'),
    });
    const done = await carryOut(host, agent, plan);
    agent = done.agent;
    console.log(done.update.machines.map(blackoutLine).join('\n'));
    expect(done.update).toMatchObject({ outcome: 'updated' });
    for (const machine of done.update.machines) expectWholeBlackout(machine);
    expect(await broughtBackBy(agent, done.update)).toEqual({ fast: 'carrier' });
    await expectUnharmed(host, [guest]);
    expect(await run(host, 'uname -r')).toBe(`${kernel.release}\n`);
    const said = await carrierLog();
    for (const name of ['kvm', 'kvm-amd'])
      expect(said).toMatch(new RegExp(`"event":"module","text":"${directory()}/[^"]*/${name}\\.ko"`));
    expect(said).not.toContain('problem');
    expect(await run(host, 'cat /sys/module/kvm_amd/parameters/nested')).toBe('0\n');
  });

  it('is held while a module cannot be loaded, and goes on once it can', async () => {
    agent = await waitForNeeds(host, agent, 10);
    const file = (await run(host, `find ${directory()} -name kvm-amd.ko`)).trim();
    await run(host, `mv ${file} /root/kvm-amd.ko && echo 'not a module' > ${file}`);
    const from = await host.serialPosition();
    const done = await carryOut(host, agent, await planFor(agent, '-m'));
    agent = done.agent;
    await host.waitForSerial(/luo: machine:fast waits for \/dev\/kvm/, { from });
    const [machine] = done.update.machines;
    expect(machine).toMatchObject({
      ...{ name: 'fast', stage: 'held', newPid: null, blackoutUs: null },
      failedAt: 'present /dev/kvm',
      detail: expect.stringContaining('it still waited for /dev/kvm'),
    });
    expect(await run(host, 'journalctl --no-pager -u luo-console-agent')).toContain(
      `module ${file}: Exec format error`,
    );
    await run(host, `mv /root/kvm-amd.ko ${file} && modprobe kvm_amd`);
    const { machine: again } = await agent.call('RetryMachine', { session: 'machine:fast' });
    expect(again).toMatchObject({ name: 'fast', session: 'machine:fast' });
    await expectUnharmed(host, [guest]);
  });
});
