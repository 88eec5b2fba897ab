// SPDX-License-Identifier: Apache-2.0
/**
 * The agent dies right after every step of taking over from the carrier, and is started again. The machine runs, nothing
 * is loaded into a guest that has run, and everything is the agent's in the end.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { unitNameOf } from '../src/adoption/restore.ts';
import { MadeUpCarrier } from '../src/update/arrive/carrier/made-up-carrier.fixture.ts';
import { allWell, carry } from './carry.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { runToKexec, startSettled } from './scenario.ts';
import type { Death } from './tapped-native.ts';

let host: MadeUpHost;
let vmms: MadeUpVmms;
let carrier: MadeUpCarrier;
let vmm: MadeUpVmm;
/** Starts of the VMM whose guest ran at that time. */
let wrong: string[];

async function begin(): Promise<void> {
  host = new MadeUpHost();
  vmms = new MadeUpVmms(host);
  carrier = new MadeUpCarrier(host.paths);
  wrong = [];
  const { starter } = host;
  if (!starter) throw new Error('the made-up host has no starter');
  host.starter = {
    ...starter,
    resume: async (machine, ...given) => {
      if (vmm.guest.running) wrong.push(unitNameOf(machine));
      await starter.resume(machine, ...given);
    },
  };
  const client = await host.start();
  vmm = await vmms.start('one', 'named_memory');
  await client.call('AdoptMachine', { pid: vmm.pid });
  await runToKexec(host, client);
  host.becomeNextKernel();
  await vmms.endAll();
}

async function end(): Promise<void> {
  await vmms.endAll();
  await carrier.dispose();
  host.dispose();
}

beforeEach(begin);
afterEach(end);

/** What the carrier has done by the time the agent starts, and does while it runs. */
const cases: Readonly<Record<string, () => Promise<() => void>>> = {
  'brought the machine back': async () => {
    await carry({ host, vmms, carrier, vmm }, 'running', 'running', allWell);
    return () => {};
  },
  'failed with the machine': async () => {
    await carry({ host, vmms, carrier, vmm }, 'starting', 'failed', (bornNs) => [
      ...allWell(bornNs).slice(0, 4),
      { ns: bornNs + 9000, machine: 0, event: 'failed', text: 'play: the stream broke' },
    ]);
    return () => {};
  },
  'is at work, and brings the machine back': async () => {
    const working = [(bornNs: number) => allWell(bornNs).slice(0, 3), 'working'] as const;
    const { finish } = await carry({ host, vmms, carrier, vmm }, 'starting', 'running', ...working);
    return () => finish('running');
  },
};

/** Has an agent take over that dies as told. @returns the calls that it made */
async function takeOver(death: Death | null, goesOn: () => void): Promise<readonly string[]> {
  await host.launch(death);
  const { process } = host;
  goesOn();
  await Promise.race([process?.died, host.agent?.settled]);
  const calls = [...(process?.calls ?? [])];
  host.kill();
  return calls;
}

describe('an agent that is killed while it takes over from a carrier that', { timeout: 240_000 }, () => {
  it.each(Object.keys(cases))('%s is followed by one that goes on', async (name) => {
    const done = cases[name];
    if (!done) throw new Error(`no case ${name}`);
    const calls = await takeOver(null, await done());
    expect(calls).toEqual(expect.arrayContaining(['pidfdGetfd', 'notify', 'retrieveFd', 'finish']));
    expect(calls).toContain(name.startsWith('failed') ? 'resume' : 'adopt');
    // Right before a call is right after the one before it, as far as others can see.
    const deaths: Death[] = [
      { at: 0, when: 'before' },
      ...calls.map((_call, at) => ({ at, when: 'after' }) as const),
    ];
    for (const death of deaths) {
      await end();
      await begin();
      await takeOver(death, await done());
      const client = await startSettled(host);
      const what = `${JSON.stringify(death)}: ${calls[death.at]}`;
      const [update] = (await client.call('ListUpdates', {})).updates;
      expect(update?.outcome, `${what}: ${update?.reason}`).toBe('updated');
      expect(update?.machines, what).toMatchObject([{ stage: 'resumed', newPid: vmm.pid }]);
      expect([vmm.guest.running, wrong], what).toEqual([true, []]);
      expect((await client.call('GetMachine', { pid: vmm.pid })).machine, what).toMatchObject({
        session: 'machine:one',
      });
      const { sessions } = await client.call('ListSessions', {});
      expect(
        sessions.map(({ name: session, direction }) => [session, direction]),
        what,
      ).toEqual([['machine:one', 'outgoing']]);
    }
  });
});
