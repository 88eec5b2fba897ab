// SPDX-License-Identifier: Apache-2.0
/**
 * A host whose kernels start with an initrd, of both kinds that Debian makes. The initrd mounts the root and then starts
 * the carrier, which `init=` names: nothing in the initrd knows of it. How much later that is, the output says.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { BlackoutPart, Plan } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { expectUnharmed, type Guest, installGuests, startGuest } from '../support/guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { blackoutLine, broughtBackBy, carryOut, expectWholeBlackout, planFor } from '../support/update.ts';

/** The kinds, with what makes one for a kernel release. The lab's kernels have no modules. */
const kinds = [
  {
    kind: 'initramfs-tools',
    next: '-a',
    make: (release: string, path: string) => `mkinitramfs -o ${path} ${release}`,
  },
  {
    kind: 'dracut',
    next: '-b',
    make: (release: string, path: string) => `dracut --quiet --force --kver ${release} ${path}`,
  },
];

/** The parts of a blackout between the start of the kernel and the carrier's start. */
const bootParts: ReadonlySet<BlackoutPart> = new Set(['boot', 'userspace']);

describe('a machine of a host with an initrd', () => {
  let host: LabHost;
  let agent: AgentClient;
  let guest: Guest;

  beforeAll(async () => {
    host = await freshHost('initrd', { reuse: true });
    await installGuests(host);
    agent = await connect(host);
    guest = await startGuest(host, { name: 'guest', kind: 'bare', memory: 'shared' });
    await agent.call('AdoptMachine', { pid: guest.pid });
  });
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  const arrivalOf = ({ checks }: Plan) => {
    const found = checks.find(({ name }) => name === 'arrival');
    if (found === undefined) throw new Error('the plan has no check of the arrival');
    return found;
  };

  /** From the start of the next kernel to the carrier's start, in ms, once without an initrd. */
  let without: number;
  /** Runs a plan. @returns the same time of this update, in ms */
  const carried = async (plan: Plan): Promise<number> => {
    const done = await carryOut(host, agent, plan);
    agent = done.agent;
    console.log(done.update.machines.map(blackoutLine).join('\n'));
    expect(done.update).toMatchObject({ outcome: 'updated' });
    for (const machine of done.update.machines) expectWholeBlackout(machine);
    expect(await broughtBackBy(agent, done.update)).toEqual({ guest: 'carrier' });
    await expectUnharmed(host, [guest]);
    const parts = done.update.machines.flatMap((machine) => machine.parts);
    const bootUs = parts.map(({ part, durationUs }) => (bootParts.has(part) ? durationUs : 0));
    return bootUs.reduce((sum, each) => sum + each, 0) / 1000;
  };

  it('is brought back by the carrier without an initrd too, to compare', async () => {
    without = await carried(await planFor(agent, '-b'));
    console.log(`no initrd: the carrier starts ${without.toFixed()} ms after the kernel's start`);
  });

  it.each(kinds)('is brought back by the carrier: $kind', async ({ kind, next, make }) => {
    const { kernel } = await planFor(agent, next);
    const initrd = `/root/initrd-${kind}`;
    await run(host, `mkdir -p /lib/modules/${kernel.release} && depmod ${kernel.release}`);
    await run(host, make(kernel.release, initrd));
    const { plan } = await agent.call('MakePlan', { kernel: kernel.path, initrd });
    expect(arrivalOf(plan).detail).toContain('as soon as the initrd has mounted the root file system');
    const took = await carried(plan);
    const more = `${(took - without).toFixed()} ms later than without`;
    console.log(`${kind}: the carrier starts ${took.toFixed()} ms after the kernel's start, ${more}`);
    // The next plan knows what this initrd took.
    const { plan: again } = await agent.call('MakePlan', { kernel: kernel.path, initrd });
    const { verdict, detail } = arrivalOf(again);
    const [, seconds] = /root file system, which took (\d+\.\d) s in the last boot/.exec(detail) ?? [];
    expect(detail).toBe(
      `1 machine is brought back by the carrier, as soon as the initrd has mounted the root file system, which took ${seconds} s in the last boot`,
    );
    expect(verdict).toBe(Number(seconds) < 5 ? 'pass' : 'warn');
  });
});
