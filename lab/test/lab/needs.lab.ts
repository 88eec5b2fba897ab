// SPDX-License-Identifier: Apache-2.0
/**
 * A machine with a file on a mount that the host makes late, beside one that needs nothing. The mount waits for a
 * service, as for a slow disk. The carrier waits for the mount with that machine only, and says so to people. A mount
 * that does not come at all costs the machine no more than time.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { MachineRun, Plan, Update } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { expectUnharmed, type Guest, guestsDirectory, installGuests, startGuest } from '../support/guest.ts';
import { connect, freshHost, waitForNeeds } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { blackoutLine, broughtBackBy, carryOut, expectWholeBlackout, planFor } from '../support/update.ts';

const point = '/srv/data';
/** Says how the disk is, at the next boot or as soon as somebody mounts it. */
const diskIs = '/srv/disk-is';
/** In seconds: only ends what hangs. */
const patienceS = 100;

/** The disk is ready at once; once the agent has said that a machine waits for it; or never. */
const diskScript = `#!/bin/sh
case "$(cat ${diskIs})" in
missing) exit 1 ;;
slow)
  # A shell hears nothing of a change of a service's status.
  until systemctl show --property StatusText --value luo-console-agent | grep -q 'for ${point} to be mounted'; do
    sleep 0.2
  done ;;
esac
`;

const diskUnit = `[Unit]
DefaultDependencies=no

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=${patienceS}
ExecStart=/bin/sh /srv/disk.sh
`;

/** Makes the mount, with a kernel for a guest on it. A bind mount has the root's own device, so only its place tells. */
async function makeDisk(host: LabHost): Promise<void> {
  const fstab = `/srv/disk ${point} none bind,nofail,x-systemd.requires=disk.service 0 0`;
  const write = (path: string, text: string): string => `cat > ${path} <<'END'\n${text}END\n`;
  await run(
    host,
    [
      'set -e',
      `mkdir -p /srv/disk ${point}`,
      `cp ${guestsDirectory}/guest-bare /srv/disk/kernel`,
      `echo ready > ${diskIs}`,
      write('/srv/disk.sh', diskScript),
      write('/etc/systemd/system/disk.service', diskUnit),
      `echo '${fstab}' >> /etc/fstab`,
      'systemctl daemon-reload',
      'systemctl start srv-data.mount',
    ].join('\n'),
  );
}

describe('of two machines, one with a file on another mount', () => {
  let host: LabHost;
  let agent: AgentClient;
  const guests: Guest[] = [];

  beforeAll(async () => {
    host = await freshHost('needs', { reuse: 'its /etc/fstab is changed' });
    await installGuests(host);
    await makeDisk(host);
    agent = await connect(host);
    const options = { kind: 'bare', memory: 'shared' } as const;
    guests.push(await startGuest(host, { ...options, name: 'free' }));
    guests.push(await startGuest(host, { ...options, name: 'needy', kernel: `${point}/kernel` }));
    for (const { pid } of guests) await agent.call('AdoptMachine', { pid, unlink: null });
  });
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  const expectNeedInPlan = ({ checks }: Plan): void =>
    expect(checks.find(({ name }) => name === 'arrival')).toMatchObject({
      verdict: 'pass',
      detail: expect.stringContaining(`needy waits for ${point} to be mounted`),
    });

  const waited = `${point} to be mounted`;
  const waitFor = ({ waits }: MachineRun) => (waits ?? []).find(({ what }) => what === waited);

  /** The record says when and how long it waited: between retrieve and load, before its VMM was there. */
  const expectWaitInStart = (machine: MachineRun): void => {
    const start = machine.parts.find(({ part }) => part === 'start');
    const wait = waitFor(machine);
    const vmm = (machine.waits ?? []).find(({ what }) => what.startsWith('its VMM to listen on'));
    console.log(
      `${machine.name} waited for ${wait?.what}: ${wait?.durationUs} µs of ${start?.durationUs} µs`,
    );
    if (!start || !wait || !vmm || wait.durationUs === null) throw new Error('the record has no such wait');
    const endedAtUs = wait.startedAtUs + wait.durationUs;
    expect(wait.durationUs).toBeGreaterThan(0);
    expect(wait.startedAtUs).toBeGreaterThanOrEqual(start.startedAtUs);
    expect(vmm.startedAtUs).toBeGreaterThanOrEqual(endedAtUs);
    expect(endedAtUs).toBeLessThanOrEqual(start.startedAtUs + start.durationUs);
  };

  /** Goes into the other kernel. @returns the outcome, and what each machine's run was */
  const goTo = async (
    releaseEnd: string,
  ): Promise<{ update: Update; free: MachineRun; needy: MachineRun }> => {
    const plan = await planFor(agent, releaseEnd);
    expectNeedInPlan(plan);
    const from = await host.serialPosition();
    const done = await carryOut(host, agent, plan);
    agent = done.agent;
    console.log(done.update.machines.map(blackoutLine).join('\n'));
    expect(done.update).toMatchObject({ outcome: 'updated' });
    await host.waitForSerial(/luo: machine:needy waits for \/srv\/data to be mounted/, { from });
    const [free, needy] = ['free', 'needy'].map((name) =>
      done.update.machines.find((machine) => machine.name === name),
    );
    if (!free || !needy) throw new Error('the outcome does not name both machines');
    return { update: done.update, free, needy };
  };

  it('the agent waits for neither: nothing that it comes after waits for all file systems', async () => {
    const before = await run(
      host,
      'systemctl list-dependencies --after --all --plain luo-console-agent.service',
    );
    const names = before.split('\n').map((line) => line.trim());
    expect(names).toContain('systemd-remount-fs.service');
    expect(names.filter((name) => /^(local-fs|sysinit|basic)\.target$/.test(name))).toEqual([]);
  });

  it('that one waits for a slow mount, and the other does not', async () => {
    await run(host, `echo slow > ${diskIs}`);
    const { update, free, needy } = await goTo('-b');
    for (const machine of [free, needy]) expectWholeBlackout(machine);
    // The mount came only once the agent ran and had said what is waited for: the other machine ran long before.
    expect(needy.blackoutUs ?? 0).toBeGreaterThan(free.blackoutUs ?? Number.POSITIVE_INFINITY);
    expect(await broughtBackBy(agent, update)).toEqual({ free: 'carrier', needy: 'carrier' });
    expectWaitInStart(needy);
    expect(waitFor(free)).toBeUndefined();
    const shown = await run(host, `luocon history ${update.id}`);
    expect(shown).toMatch(new RegExp(`^needy +${point} to be mounted +[0-9.]+ s +[0-9.]+ s$`, 'm'));
    await expectUnharmed(host, guests);
  });

  it('that one is held if the mount does not come, and goes on when it is there and it is tried again', async () => {
    agent = await waitForNeeds(host, agent, 10);
    await run(host, `echo missing > ${diskIs}`);
    const { update, free, needy } = await goTo('-a');
    expectWholeBlackout(free);
    expect(needy).toMatchObject({ stage: 'held', newPid: null, blackoutUs: null });
    expect(update.reason).toContain('needy is held');
    // The carrier has waited for long, and then each attempt of the agent.
    expect(waitFor(needy)?.durationUs).toBeGreaterThan(0);
    expect((needy.waits ?? []).filter(({ what }) => what === waited).length).toBeGreaterThan(1);
    expect(needy.failedAt).toBe(`mounted ${point}`);
    expect([waitFor(free), free.failedAt]).toEqual([undefined, null]);
    expect(await broughtBackBy(agent, update)).toEqual({ free: 'carrier' });
    await expectUnharmed(
      host,
      guests.filter(({ name }) => name === 'free'),
    );
    await run(host, `echo ready > ${diskIs} && systemctl start srv-data.mount`);
    const { machine } = await agent.call('RetryMachine', { session: 'machine:needy' });
    expect(machine).toMatchObject({ name: 'needy', session: 'machine:needy' });
    await expectUnharmed(host, guests);
  });
});
