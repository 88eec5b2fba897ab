// SPDX-License-Identifier: Apache-2.0
/**
 * Machines that the carrier brings back, while the host boots beside it. It is also made to crash and to hang. Whatever
 * becomes of it, the host boots, the agent brings back what does not run yet, and no state is loaded twice.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AgentClient } from '@luo-console/agent/client';
import type { Plan, Update } from '@luo-console/agent/interface';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { expectUnharmed, type Guest, installGuests, type Memory, startGuest } from '../support/guest.ts';
import { agentPackage, connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { bringIn, mustDpkg } from '../support/packages.ts';
import { blackoutLine, broughtBackBy, carryOut, expectWholeBlackout, planFor } from '../support/update.ts';

const carrier = '/usr/lib/luo-console-agent/carrier';
const confinement = [
  'NoNewPrivileges=yes',
  'CapabilityBoundingSet=~CAP_SYS_MODULE CAP_SYS_BOOT',
  'LimitNPROC=4000:5000',
  // The lab's kernel has no shares of processors among control groups.
  ...['Slice=web-shop.slice', 'MemoryMax=700M', 'TasksMax=222', 'AllowedCPUs=0-1'],
];
/** What has QEMU write a line for each command that its monitor is given. */
const trace = 'handle_qmp_command';
const allGuests: readonly { name: string; memory: Memory; confinement?: readonly string[] }[] = [
  { name: 'first', memory: 'shared', confinement },
  { name: 'second', memory: 'private' },
];

/** For waiting in the host, in seconds: only ends what hangs. */
const patienceS = 120;

/** As whom a VMM runs, and what it may do. */
const rightsOf = (host: LabHost, pid: number): Promise<string> =>
  run(
    host,
    `grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)' /proc/${pid}/status; cat /proc/${pid}/limits`,
  );

/** In which slice a unit is, and what it may use. */
const resourcesOf = async (host: LabHost, unit: string): Promise<string[]> => {
  const properties = 'Slice,MemoryMax,TasksMax,AllowedCPUs';
  return (await run(host, `systemctl show ${unit} -p ${properties}`)).trim().split('\n').sort();
};

/** What the service manager says of the unit of a machine: another start of it would have another time. */
const unitFacts = async (host: LabHost, name: string): Promise<string[]> => {
  const properties = 'MainPID,ActiveState,ActiveEnterTimestampMonotonic';
  return (await run(host, `systemctl show luo-machine-${name} -p ${properties}`)).trim().split('\n');
};

/** Puts a carrier that can be made to fail in place of the one that is installed (`native-bindings/carrier/fault.h`). */
async function installFailing(host: LabHost): Promise<void> {
  const sources = fileURLToPath(new URL('../../../native-bindings/carrier/', import.meta.url));
  const directory = await mkdtemp(join(tmpdir(), 'luo-failing-carrier-'));
  try {
    const files = (await readdir(sources)).filter((name) => name.endsWith('.c'));
    const flags = ['-static', '-O2', '-std=gnu17', '-D_GNU_SOURCE', '-DFAULTS'];
    await execa('gcc', [...flags, ...files, '-o', join(directory, 'carrier')], { cwd: sources });
    await host.copyIn([join(directory, 'carrier')], '/root');
    await run(host, `install -m 0755 /root/carrier ${carrier}`);
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe('machines', () => {
  let host: LabHost;
  let agent: AgentClient;
  const guests: Guest[] = [];
  /** What each VMM may do, from its first start on. */
  const rights = new Map<string, string>();
  const resources = new Map<string, string[]>();
  /** The kernel to go to next, and the command line without a fault. */
  let next = '-b';
  let plain: string;

  beforeAll(async () => {
    host = await freshHost('carrier', { reuse: 'its carrier is replaced' });
    await installGuests(host);
    agent = await connect(host);
    for (const each of allGuests) guests.push(await startGuest(host, { ...each, kind: 'bare', trace }));
    for (const { name, pid } of guests) {
      rights.set(name, await rightsOf(host, pid));
      resources.set(name, await resourcesOf(host, `$(ps -o unit= -p ${pid})`));
      await agent.call('AdoptMachine', { pid, unlink: null });
    }
    expect(rights.get('first')).toMatch(/^NoNewPrivs:\t1$/m);
    expect(rights.get('first')).not.toBe(rights.get('second'));
    expect(resources.get('first')).toContain('Slice=web-shop.slice');
  });
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  /** Goes into the other kernel and back again in turns. @param fault of the carrier, if any */
  const goOn = async (fault?: string): Promise<Update> => {
    let plan: Plan = await planFor(agent, next);
    if (fault) {
      const commandLine = `${plain} luo_fault=${fault}`;
      plan = (await agent.call('MakePlan', { kernel: plan.kernel.path, commandLine })).plan;
    }
    const done = await carryOut(host, agent, plan);
    next = next === '-b' ? '-a' : '-b';
    agent = done.agent;
    console.log(done.update.machines.map(blackoutLine).join('\n'));
    expect(done.update).toMatchObject({ outcome: 'updated', reason: expect.not.stringContaining('held') });
    await expectUnharmed(host, guests);
    for (const { name, newPid } of done.update.machines)
      expect(await rightsOf(host, newPid ?? 0), name).toBe(rights.get(name));
    return done.update;
  };
  /** Resolves once the journal has something that each VMM writes from now on. */
  const expectHeard = async (): Promise<void> => {
    const shown = await run(host, 'journalctl --lines=1 --show-cursor');
    const cursor = /^-- cursor: (\S+)$/m.exec(shown)?.[1];
    if (cursor === undefined) throw new Error(`the journal of the host has no place: ${shown}`);
    // The agent asks each monitor.
    await agent.call('ListMachines', {});
    for (const { name } of allGuests) {
      const words = `--follow --no-tail --after-cursor='${cursor}' --unit=luo-machine-${name}`;
      const follow = `grep -q -m1 ${trace} < <(journalctl ${words} 2> /dev/null)`;
      await run(host, `timeout ${patienceS} bash -c "${follow}"`);
    }
  };
  const byCarrier = { first: 'carrier', second: 'carrier' };

  it('are brought back by the carrier, and are services of their own afterwards', async () => {
    const plan = await planFor(agent, next);
    plain = plan.commandLine;
    expect(plain).toContain(`init=${carrier}`);
    expect(plan.checks.find(({ name }) => name === 'arrival')).toMatchObject({ verdict: 'pass' });
    const update = await goOn();
    for (const machine of update.machines) expectWholeBlackout(machine);
    expect(await broughtBackBy(agent, update)).toEqual(byCarrier);
    for (const { name, newPid } of update.machines) {
      const facts = await unitFacts(host, name);
      expect(facts).toEqual(expect.arrayContaining(['ActiveState=active', `MainPID=${newPid}`]));
      const unit = `luo-machine-${name}.service`;
      expect(await resourcesOf(host, unit), name).toEqual(resources.get(name));
    }
    // Only what passes on what VMMs write is left of it, one process in the unit of each.
    for (const { name } of allGuests) {
      const unit = `luo-machine-${name}.service`;
      const group = `/sys/fs/cgroup$(systemctl show --value -p ControlGroup ${unit})/cgroup.procs`;
      expect(await run(host, `ps -o comm= -p "$(paste -sd, ${group})"`)).toMatch(/^carrier$/m);
    }
    expect((await run(host, "pgrep -c '^carrier'")).trim()).toBe(`${allGuests.length}`);
  });

  it('have in the journal what their VMMs write, also before there was one', async () => {
    await expectHeard();
    for (const { name } of allGuests)
      expect(await run(host, `journalctl --boot --unit=luo-machine-${name}`)).toMatch(/"execute": *"cont"/);
  });

  it('stay when the package is installed again and the service manager is started again', async () => {
    const pidOfAgent = () => run(host, 'systemctl show --value -p MainPID luo-console-agent');
    const before = await Promise.all(allGuests.map(({ name }) => unitFacts(host, name)));
    const pidBefore = await pidOfAgent();
    agent.close();
    await mustDpkg(host, '--install', await bringIn(host, agentPackage()));
    await run(host, 'systemctl daemon-reexec');
    agent = await connect(host);
    const { machines } = await agent.call('ListMachines', {});
    expect(machines.map(({ name, state }) => [name, state]).sort()).toEqual([
      ['first', 'running'],
      ['second', 'running'],
    ]);
    expect(await pidOfAgent()).not.toBe(pidBefore);
    expect(await Promise.all(allGuests.map(({ name }) => unitFacts(host, name)))).toEqual(before);
    await expectHeard();
    await expectUnharmed(host, guests);
  });

  it('are brought back by the carrier in the next update too', async () => {
    const update = await goOn();
    expect(await broughtBackBy(agent, update)).toEqual(byCarrier);
  });

  describe('whose carrier fails', () => {
    beforeAll(() => installFailing(host));

    // Before it has anything; with the device open; with everything in hand; while machines start.
    it.each([
      ['crash:keeper:opened', {}],
      ['hang:keeper:opened', {}],
      ['crash:keeper:retrieved', {}],
      ['crash:0:until', { second: 'carrier' }],
    ])('run all the same: %s', async (fault, others) => {
      const expected = { first: 'agent', second: 'agent', ...others };
      const update = await goOn(fault);
      expect(await broughtBackBy(agent, update)).toEqual(expected);
    });
  });
});
