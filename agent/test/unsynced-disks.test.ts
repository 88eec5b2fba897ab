// SPDX-License-Identifier: Apache-2.0
/** A machine whose disk cannot be synced (`src/update/depart/writing-out.ts`), beside one whose disks can. */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { carrierPath } from '../src/host/carrier-places.ts';
import type { FailurePolicy, Update } from '../src/interface/agent.generated.ts';
import { indexSessionName, programToken } from '../src/liveupdate/tokens.ts';
import { decodeProgram } from '../src/update/program/decode.fixture.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { planOf, runToKexec, startSettled } from './scenario.ts';

/** As root, and where there is the device that a node is made of. */
const possible = process.getuid?.() === 0 && existsSync('/dev/loop7');
const commandLine = `root=/dev/vda liveupdate=on init=${carrierPath}`;

let host: MadeUpHost;
/** A block device with nothing on it. */
let device: string;
let problem: string;
let vmms: MadeUpVmms;
let client: AgentClient;
let [one, other]: MadeUpVmm[] = [];

beforeEach(async () => {
  host = new MadeUpHost();
  vmms = new MadeUpVmms(host);
  client = await host.start();
  device = join(host.directory, 'disk');
  problem = `the block device ${device} could not be synced: EIO`;
});
afterEach(async () => {
  await vmms.endAll();
  host.dispose();
});

/** Two machines, of which the first has the disk. */
async function startBoth(): Promise<[MadeUpVmm, MadeUpVmm]> {
  execFileSync('mknod', [device, 'b', '7', '7']);
  const disk = openSync(device, 'r+');
  const both: [MadeUpVmm, MadeUpVmm] = [
    await vmms.start('one', 'named_memory', {}, [], disk),
    await vmms.start('other', 'named_memory'),
  ];
  closeSync(disk);
  for (const { pid } of both) await client.call('AdoptMachine', { pid });
  return both;
}

/** Has the disk fail when its machine runs, or only once that is stopped. */
function failDisk(when: 'running' | 'stopped', vmm: MadeUpVmm): void {
  host.syncDisk = async () => {
    if (vmm.guest.running === (when === 'running')) throw new Error('EIO');
  };
}

async function runTo(wait: 'kexec' | 'settled', ifMachineFails: FailurePolicy): Promise<string> {
  const plan = await planOf(host, client, { ifMachineFails, commandLine });
  return await runToKexec(host, client, { plan, wait });
}

/** As it was settled. */
async function run(ifMachineFails: FailurePolicy): Promise<Update> {
  const id = await runTo('settled', ifMachineFails);
  return (await client.call('GetUpdate', { id })).update;
}

const stagesOf = ({ machines }: Update): Record<string, string> =>
  Object.fromEntries(machines.map(({ name, stage }) => [name, stage]));

/** The machines that the carrier would bring back. */
async function programLeft(): Promise<unknown[]> {
  using opened = host.double.openDevice(host.paths.device);
  const index = await host.double.retrieveSession(opened, indexSessionName);
  host.manager.kept.set(`s-${Buffer.from(indexSessionName).toString('hex')}`, index);
  using file = await host.double.retrieveFd(index, programToken);
  const program = decodeProgram(native.memory.read(file, 0n, Number(native.memory.fileFacts(file).size)));
  return program.flatMap((each) => (each.does === 'machine' ? [each['session']] : []));
}

describe.runIf(possible).each(['running', 'stopped'] as const)(
  'a disk that fails while its machine is %s',
  (when) => {
    beforeEach(async () => {
      [one, other] = await startBoth();
      failDisk(when, one);
    });

    it('ends the update under the policy *stop*, and both machines run on', async () => {
      const update = await run('stop');
      expect(update).toMatchObject({
        outcome: 'aborted',
        reason: `one cannot be carried over: ${problem}`,
      });
      expect(stagesOf(update)).toEqual({ one: 'running', other: 'running' });
      for (const vmm of [one, other]) expect(vmm?.guest.running).toBe(true);
      expect(one?.guest.commands.includes('stop')).toBe(when === 'stopped');
    });

    it('costs its machine under *leave*, which runs on here until the kexec and is not brought back', async () => {
      await runTo('kexec', 'leave');
      expect(one?.guest.running).toBe(true);
      expect(other?.guest.running).toBe(false);
      host.becomeNextKernel();
      // Whether the carrier could start a machine depends on the host that this test runs on: if not, it is said.
      const refused = host.log.filter((line) => line.startsWith('info the agent will bring a machine back'));
      expect(refused.length === 0 ? await programLeft() : ['machine:other']).toEqual(['machine:other']);
      await vmms.endAll();
      client = await startSettled(host);
      const [update] = (await client.call('ListUpdates', {})).updates;
      expect(update).toMatchObject({ outcome: 'updated' });
      expect(update && stagesOf(update)).toEqual({ one: 'left_behind', other: 'resumed' });
      expect(update?.machines.find(({ name }) => name === 'one')?.detail).toContain(problem);
      expect(one?.guest.running).toBe(true);
      expect(one?.guest.loaded).toBeNull();
      expect(other?.guest).toMatchObject({ running: true, loaded: 'device state' });
      expect((await client.call('ListSessions', {})).sessions.map(({ name }) => name)).toEqual([
        'machine:other',
      ]);
    });

    it('costs nothing under *leave* where the kernel refuses the kexec', async () => {
      host.kexec = 'refused';
      const update = await run('leave');
      expect(update.outcome).toBe('returned');
      for (const vmm of [one, other]) expect(vmm?.guest.running).toBe(true);
      expect(stagesOf(update)['other']).toBe('running');
    });
  },
);
