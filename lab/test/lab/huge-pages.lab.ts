// SPDX-License-Identifier: Apache-2.0
/**
 * A machine whose memory is in small pages, as QEMU gets it by default. Adopting it puts the memory into huge pages while
 * the guest counts. One that the agent starts has them from the start. They are huge in the next kernel too. What the kernel says of its huge pages is compared, not what
 * the agent says.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { Plan } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import {
  expectUnharmed,
  type Guest,
  guestCommandLine,
  guestsDirectory,
  installGuests,
  startGuest,
} from '../support/guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { blackoutLine, carryOut, expectWholeBlackout, planFor } from '../support/update.ts';

/** The guest's memory, and how much of it must be in huge pages, both in MiB. */
const memoryMiB = 256;
const leastHugeMiB = 240;

/** A machine that the agent starts. */
const defined = { name: 'defined', log: '/var/log/luo-console/machines/defined/console.log' };
const definedMiB = 64;
const leastDefinedMiB = 60;

describe('the memory of a machine', () => {
  let host: LabHost;
  let agent: AgentClient;
  let guest: Guest;
  /** What other programs of the host have in huge pages, in MiB. */
  let others: number;

  beforeAll(async () => {
    host = await freshHost('huge-pages', { reuse: 'it gets the definition of a machine' });
    await installGuests(host);
    agent = await connect(host);
    const definition = {
      ...{ memory: definedMiB, accelerator: 'tcg', kernel: `${guestsDirectory}/guest-bare` },
      commandLine: guestCommandLine('bare', defined.name),
    };
    const path = `/etc/luo-console/machines/${defined.name}.json`;
    await host.sh(['tee', path], { input: JSON.stringify(definition) });
    guest = await startGuest(host, { name: 'large', kind: 'bare', memory: 'shared', mib: memoryMiB });
  });
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  /** Shared memory of the host that is in huge pages, in MiB. */
  const hugeMiB = async (): Promise<number> => {
    const [, kibibytes] = /^ShmemHugePages:\s+(\d+) kB$/m.exec(await run(host, 'cat /proc/meminfo')) ?? [];
    if (kibibytes === undefined) throw new Error('the kernel of the host does not count huge pages');
    return Number(kibibytes) / 1024;
  };

  /** Fails unless the plan says that the memory is in huge pages. QEMU may have some more of it than the guest. */
  const expectHuge = ({ checks }: Plan): void => {
    const check = checks.find(({ name }) => name === 'pages');
    expect(check).toMatchObject({ verdict: 'pass' });
    const [, mebibytes] = /in huge pages \((\d+) MiB\)/.exec(check?.detail ?? '') ?? [];
    expect(Number(mebibytes), check?.detail).toBeGreaterThanOrEqual(leastHugeMiB);
  };

  it('is in huge pages once it is adopted, and the guest counts on', async () => {
    await expectUnharmed(host, [guest]);
    others = await hugeMiB();
    await agent.call('AdoptMachine', { pid: guest.pid });
    expect((await hugeMiB()) - others).toBeGreaterThanOrEqual(leastHugeMiB);
    await expectUnharmed(host, [guest], 64);
  });

  it('is in huge pages from the start if the agent starts the machine', async () => {
    const before = await hugeMiB();
    await agent.call('StartMachine', { name: defined.name });
    expect((await hugeMiB()) - before).toBeGreaterThanOrEqual(leastDefinedMiB);
    await expectUnharmed(host, [guest, defined]);
  });

  it('is said to be in huge pages by the plan, and is in the next kernel', async () => {
    const plan = await planFor(agent, '-b');
    expectHuge(plan);
    const done = await carryOut(host, agent, plan);
    agent = done.agent;
    const { update } = done;
    console.log(update.machines.map(blackoutLine).join('\n'));
    expect(update).toMatchObject({ outcome: 'updated' });
    for (const machine of update.machines) expectWholeBlackout(machine);
    expect(await hugeMiB()).toBeGreaterThanOrEqual(leastHugeMiB + leastDefinedMiB);
    await expectUnharmed(host, [guest, defined], 64);
  });

  it('is still known to be in huge pages by the agent of the next kernel', async () => {
    const plan = await planFor(agent, '-a');
    expectHuge(plan);
  });
});
