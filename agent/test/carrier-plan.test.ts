// SPDX-License-Identifier: Apache-2.0
/** The command line of the next kernel, with and without the carrier (`src/update/plan/carrier-use.ts`), on a made-up host. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { carrierPath } from '../src/host/carrier-places.ts';
import type { Check, Plan } from '../src/interface/agent.generated.ts';
import { type Answer, value } from '../src/qemu/fake-qmp.fixture.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { planOf, runToKexec } from './scenario.ts';

const usual = 'root=/dev/vda liveupdate=on';

let host: MadeUpHost;
let vmms: MadeUpVmms;
let client: AgentClient;
let vmm: MadeUpVmm;
let init: string;

beforeEach(async () => {
  host = new MadeUpHost();
  vmms = new MadeUpVmms(host);
  init = `init=${host.paths.carrier}`;
});
afterEach(async () => {
  await vmms.endAll();
  host.dispose();
});

async function start(answers: Record<string, Answer> = {}): Promise<void> {
  client = await host.start();
  vmm = await vmms.start('one', 'named_memory', answers);
  await client.call('AdoptMachine', { pid: vmm.pid });
}

const arrival = ({ checks }: Plan): Check | undefined => checks.find(({ name }) => name === 'arrival');

const planWith = async (commandLine: string): Promise<Plan> =>
  (await client.call('MakePlan', { kernel: `${host.paths.boot}/vmlinuz-7.3.4-b`, commandLine })).plan;

describe('a plan with a machine', () => {
  it('starts the next kernel with the carrier, and loads it with that command line', async () => {
    await start();
    const plan = await planOf(host, client);
    expect(plan.commandLine).toBe(`${usual} ${init}`);
    expect(arrival(plan)).toMatchObject({ verdict: 'pass' });
    expect(plan.checks.find(({ name }) => name === 'command line')).toMatchObject({
      detail: plan.commandLine,
    });
    await runToKexec(host, client, { plan });
    expect(host.loaded).toEqual({ commandLine: `${usual} ${init}` });
  });

  it('has it once where the running kernel was started with it', async () => {
    host.boot('7.3.4-a', [], `BOOT_IMAGE=/vmlinuz root=/dev/vda ${init} liveupdate=on -- x`);
    await start();
    expect((await planOf(host, client)).commandLine).toBe(`${usual} ${init} -- x`);
    expect((await planOf(host, client, { leave: [vmm.pid] })).commandLine).toBe(`${usual} -- x`);
    // Only a plan says whether anything is carried over.
    const { loaded } = await client.call('LoadKernel', { path: `${host.paths.boot}/vmlinuz-7.3.4-b` });
    expect(loaded.commandLine).toBe(`${usual} -- x`);
  });

  it('has it on the command line of a caller too, unless that names another init', async () => {
    await start();
    expect((await planWith(`${usual} quiet -- x`)).commandLine).toBe(`${usual} quiet ${init} -- x`);
    const other = await planWith(`${usual} init=/bin/sh`);
    expect(other.commandLine).toBe(`${usual} init=/bin/sh`);
    expect(other.runnable).toBe(true);
    expect(arrival(other)).toMatchObject({
      verdict: 'warn',
      detail: expect.stringContaining('init=/bin/sh'),
    });
  });

  it('knows what is behind the block nodes of its VMM, in the update too', async () => {
    const point = '/nowhere/data';
    const root = readFileSync(join(host.paths.proc, '1/mountinfo'), 'utf8');
    writeFileSync(
      join(host.paths.proc, '1/mountinfo'),
      `${root}30 29 0:27 / ${point} rw shared:2 - ext4 /dev/vdb rw\n`,
    );
    await start({ 'query-named-block-nodes': value([{ file: `${point}/base.qcow2` }]) });
    const why = `${point}/base.qcow2 is on ${point}, which no boot mounts by itself`;
    expect((await client.call('GetMachine', { pid: vmm.pid })).machine).toMatchObject({ obstacle: why });
    const plan = await planOf(host, client);
    expect(arrival(plan)?.detail).toContain(`one waits for the agent: ${why}`);
    // A kernel that starts the real carrier gets a program, in which this machine is not.
    const commandLine = `${usual} init=${carrierPath}`;
    await runToKexec(host, client, { plan: await planOf(host, client, { commandLine }) });
    expect(host.log.filter((line) => line.includes('the agent will bring a machine back'))).toEqual([
      expect.stringContaining(why),
    ]);
  });

  it('does without it where it is not installed', async () => {
    rmSync(host.paths.carrier);
    await start();
    const plan = await planOf(host, client);
    expect(plan.commandLine).toBe(usual);
    expect(plan.runnable).toBe(true);
    expect(arrival(plan)).toMatchObject({
      verdict: 'warn',
      detail: expect.stringContaining('was not found'),
    });
    const named = await planWith(`${usual} ${init}`);
    expect(named.commandLine).toBe(usual);
  });

  it('does not run once the carrier is gone: the next kernel would panic', async () => {
    await start();
    const plan = await planOf(host, client);
    rmSync(host.paths.carrier);
    await expect(client.stream('RunUpdate', { plan: plan.id }).next()).rejects.toMatchObject({
      parameters: { plan: plan.id, reason: expect.stringMatching(/^arrival: .*was not found/) },
    });
    expect(host.loaded).toBeNull();
  });

  it('leaves a command line that has no room for it as it is', async () => {
    await start();
    const long = `${usual} `.padEnd(2047, 'x');
    const plan = await planWith(long);
    expect(plan.commandLine).toBe(long);
    expect(arrival(plan)).toMatchObject({ verdict: 'warn', detail: expect.stringContaining('no room') });
  });
});

it('a plan without a machine does without the carrier, and gives no warning of it', async () => {
  client = await host.start();
  const plan = await planOf(host, client);
  expect(plan.commandLine).toBe(usual);
  expect(arrival(plan)).toMatchObject({ verdict: 'pass' });
});
