// SPDX-License-Identifier: Apache-2.0
/** What an update leaves for the carrier (`src/update/program`), on a made-up host. */
import { native } from '@luo-console/native';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { carrierPath } from '../src/host/carrier-places.ts';
import type { Update } from '../src/interface/agent.generated.ts';
import { indexSessionName, programToken } from '../src/liveupdate/tokens.ts';
import { type Decoded, decodeProgram } from '../src/update/program/decode.fixture.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { planOf, runToKexec, startSettled } from './scenario.ts';

const withCarrier = `root=/dev/vda liveupdate=on init=${carrierPath}`;
const withoutCarrier = `${withCarrier} init=/sbin/init`;

let host: MadeUpHost;
let vmms: MadeUpVmms;
let client: AgentClient;
let vmm: MadeUpVmm;

beforeEach(async () => {
  host = new MadeUpHost();
  vmms = new MadeUpVmms(host);
  client = await host.start();
  vmm = await vmms.start('one', 'named_memory');
  await client.call('AdoptMachine', { pid: vmm.pid });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await vmms.endAll();
  host.dispose();
});

async function leave(commandLine: string, wait: 'kexec' | 'settled' = 'kexec'): Promise<string> {
  const plan = await planOf(host, client, { commandLine });
  return await runToKexec(host, client, { plan, wait });
}

/** What the carrier finds in the next kernel; the service manager then has the index, as if it had retrieved it. */
async function programLeft(): Promise<Decoded[]> {
  host.becomeNextKernel();
  using device = host.double.openDevice(host.paths.device);
  const index = await host.double.retrieveSession(device, indexSessionName);
  host.manager.kept.set(`s-${Buffer.from(indexSessionName).toString('hex')}`, index);
  using file = await host.double.retrieveFd(index, programToken);
  return decodeProgram(native.memory.read(file, 0n, Number(native.memory.fileFacts(file).size)));
}

/** The next kernel's agent brings the machines back, whatever was left for the carrier. */
async function arrive(): Promise<Update | undefined> {
  await vmms.endAll();
  client = await startSettled(host);
  return (await client.call('ListUpdates', {})).updates[0];
}

it('an update into a kernel that starts the carrier leaves it a program in the index session', async () => {
  await leave(withCarrier);
  const program = await programLeft();
  expect(program[0]).toEqual({ does: 'session', name: indexSessionName });
  // Whether the carrier could start the machine depends on the host that this test runs on: if not, it is said.
  const machines = program.flatMap((each) => (each.does === 'machine' ? [each['session']] : []));
  const refusals = host.log.filter((line) => line.startsWith('info the agent will bring a machine back'));
  expect(machines.length === 1 ? machines : refusals).toEqual([expect.stringContaining('machine:one')]);
  expect(host.log.filter((line) => line.includes('resume program'))).toEqual([]);
  expect(await arrive()).toMatchObject({ outcome: 'updated', machines: [{ stage: 'resumed' }] });
  expect(vmm.guest.running).toBe(true);
});

it('an update into a kernel that starts another program first leaves none', async () => {
  await leave(withoutCarrier);
  await expect(programLeft()).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await arrive()).toMatchObject({ outcome: 'updated', machines: [{ stage: 'resumed' }] });
});

it('a program that cannot be left ends no update', async () => {
  const { preserveFd } = host.double;
  vi.spyOn(host.double, 'preserveFd').mockImplementation(async (...given) => {
    if (given[2] !== programToken) return await preserveFd.apply(host.double, given);
    throw Object.assign(new Error('preserveFd: ENOMEM'), { code: 'ENOMEM', errno: 12, syscall: 'ioctl' });
  });
  await leave(withCarrier);
  expect(host.log).toContainEqual(expect.stringMatching(/^warning there is no resume program.*ENOMEM/));
  host.becomeNextKernel();
  expect(await arrive()).toMatchObject({ outcome: 'updated', machines: [{ stage: 'resumed' }] });
});

it('a program is given up with the index when the kexec is refused, and the next update leaves its own', async () => {
  host.kexec = 'refused';
  await leave(withCarrier, 'settled');
  expect(vmm.guest.running).toBe(true);
  host.kexec = 'works';
  await leave(withCarrier);
  expect((await programLeft())[0]).toMatchObject({ does: 'session' });
});
