// SPDX-License-Identifier: Apache-2.0
/** Renewals as the agent offers them: what has to come before, what may not happen meanwhile, and what another agent finds. */
import { mkdirSync, readdirSync, renameSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { Renewal, RenewalStage } from '../src/interface/agent.generated.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { planOf, rehearsalsLog, runToKexec } from './scenario.ts';

let host: MadeUpHost;
let vmms: MadeUpVmms;
let client: AgentClient;

beforeEach(async () => {
  host = new MadeUpHost();
  vmms = new MadeUpVmms(host);
  const script = join(host.directory, 'wait.sh');
  writeFileSync(script, 'read line\n');
  vmms.begin = [script];
  rehearsalsLog(host, ['starting', ''], ['loading', '']);
  client = await host.start();
});

afterEach(async () => {
  await vmms.endAll();
  host.dispose();
});

/**
 * A machine whose VMMs are this process, the old one and the new one.
 *
 * @param begins what happens before the new one is started
 */
async function adopted(begins: () => Promise<void> = async () => {}): Promise<MadeUpVmm> {
  const vmm = await vmms.start('one', 'named_memory');
  vmms.beforeStart.set('one', async () => {
    // The new one listens where the old one did, at the same socket.
    const { path } = vmm.guest;
    const aside = readdirSync(dirname(path)).find((name) => name.startsWith(`${basename(path)}.before-`));
    renameSync(join(dirname(path), aside ?? 'none'), path);
    await begins();
  });
  await client.call('AdoptMachine', { pid: vmm.pid });
  return vmm;
}

async function renew(
  pid: number,
  on = client,
  limitSeconds: number | null = null,
): Promise<{ renewal: Renewal | null; stages: RenewalStage[] }> {
  const stages: RenewalStage[] = [];
  let result: Renewal | null = null;
  for await (const { stage, renewal } of on.stream('RenewMachine', { pid, limitSeconds })) {
    if (stage !== null) stages.push(stage);
    result = renewal;
  }
  return { renewal: result, stages };
}

/** Has a renewal come to the start of its new VMM and no further. */
async function heldUp() {
  const [begun, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const vmm = await adopted(async () => {
    begun.resolve();
    await goOn.promise;
  });
  const old = vmm.pid;
  const renewing = renew(old, await host.connect()).catch((error: unknown) => error);
  await begun.promise;
  return { vmm, old, renewing, goOn };
}

const unusable = (reason: string) => ({
  error: 'io.luoconsole.Agent.MachineUnusable',
  parameters: { reason: expect.stringContaining(reason) },
});

describe('a machine', () => {
  it('has a new VMM, which the journal says with what came of it', async () => {
    const vmm = await adopted();
    const old = vmm.pid;
    const { renewal, stages } = await renew(old);
    expect(renewal).toMatchObject({ outcome: 'renewed', problem: null, pid: old, newPid: vmm.pid });
    expect(stages).toEqual(['rehearsing', 'saving', 'starting', 'ending']);
    expect(vmm.pid).not.toBe(old);
    expect(vmm.guest).toMatchObject({ running: true, loaded: 'device state' });
    const { machines } = await client.call('ListMachines', {});
    expect(machines).toMatchObject([{ name: 'one', pid: vmm.pid, session: 'machine:one' }]);
    const { entries } = await client.call('QueryJournal', { name: 'machine.renew', ascending: true });
    expect(entries).toMatchObject([
      { ok: null, session: 'machine:one', parameters: { name: 'one', way: 'named_memory' } },
      { ok: true, parameters: { outcome: 'renewed', pid: old, newPid: vmm.pid } },
    ]);
    // Once more, and then it is carried over like any other.
    expect((await renew(vmm.pid)).renewal).toMatchObject({ outcome: 'renewed', problem: null });
    expect((await planOf(host, client)).machines).toMatchObject([
      { name: 'one', pid: vmm.pid, leave: false },
    ]);
  });

  it('runs on in its old VMM if the new one does not start, and can be renewed later', async () => {
    const vmm = await adopted();
    const { pid } = vmm;
    vmms.failing.add('one');
    const { renewal, stages } = await renew(pid);
    expect(renewal).toMatchObject({
      ...{ outcome: 'runs_on', pid, newPid: null, stoppedUs: expect.any(Number) },
      problem: expect.stringContaining('its VMM ended at once'),
    });
    expect(stages).toEqual(['rehearsing', 'saving', 'starting']);
    expect(vmm.guest.running).toBe(true);
    vmms.failing.delete('one');
    expect((await renew(pid)).renewal).toMatchObject({ outcome: 'renewed', problem: null });
  });

  it('is not renewed again before its VMM has its names back', async () => {
    const pidFile = join(host.directory, 'one.pid');
    writeFileSync(pidFile, '1');
    const { pid, guest } = await vmms.start('one', 'named_memory', {}, ['-pidfile', pidFile]);
    vmms.failing.add('one');
    vmms.beforeStart.set('one', async () => mkdirSync(pidFile));
    await client.call('AdoptMachine', { pid });
    expect((await renew(pid)).renewal).toMatchObject({
      outcome: 'runs_on',
      problem: expect.stringContaining('its sockets do not have their names yet'),
    });
    expect(guest.running).toBe(true);
    await expect(renew(pid)).rejects.toMatchObject(unusable('its last renewal is not complete yet'));
    rmdirSync(pidFile);
  });

  it('whose rehearsal fails, or has no result, is not touched', async () => {
    const vmm = await adopted();
    rehearsalsLog(host, ['starting', ''], ['failed', 'it ended: no such disk']);
    await expect(renew(vmm.pid)).rejects.toMatchObject(
      unusable('its rehearsal failed: it ended: no such disk'),
    );
    rehearsalsLog(host);
    await expect(renew(vmm.pid)).rejects.toMatchObject(unusable('its rehearsal had no result: '));
    expect(vmm.guest.commands).not.toContain('migrate');
    const { entries } = await client.call('QueryJournal', { name: 'machine.renew' });
    expect(entries).toEqual([]);
  });

  it.each([
    ['whole_state', 'its memory is in its VMM alone'],
    ['cpr', 'not adopted'],
  ] as const)('that cannot be renewed is told so: %s', async (way, why) => {
    const vmm = await vmms.start('one', way);
    if (way === 'whole_state') await client.call('AdoptMachine', { pid: vmm.pid });
    await expect(renew(vmm.pid)).rejects.toMatchObject(unusable(why));
    expect(vmm.guest.running).toBe(true);
  });

  it.each([0, 601])('is not stopped for %i s', async (seconds) => {
    const vmm = await adopted();
    await expect(renew(vmm.pid, client, seconds)).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.InvalidValue',
      parameters: { parameter: 'limitSeconds', expected: '1 to 600' },
    });
  });
});

describe('while a machine is renewed', () => {
  it('it is not released, and no update begins', async () => {
    const vmm = await adopted();
    const plan = await planOf(host, client);
    const [begun, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const begins = vmms.beforeStart.get('one');
    vmms.beforeStart.set('one', async () => {
      await begins?.();
      begun.resolve();
      await goOn.promise;
    });
    const old = vmm.pid;
    const renewing = renew(old, await host.connect());
    await begun.promise;
    await expect(client.call('ReleaseMachine', { pid: old })).rejects.toMatchObject(
      unusable('its VMM is being replaced'),
    );
    await expect(runToKexec(host, client, { plan })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.WrongPhase',
      parameters: { needed: 'no machine being renewed' },
    });
    await expect.poll(() => host.heldOff.at(-1)).toBe(true);
    goOn.resolve();
    expect((await renewing).renewal).toMatchObject({ outcome: 'renewed', problem: null });
  });

  it('an agent that is told to end waits for it', async () => {
    const { vmm, goOn, renewing } = await heldUp();
    const leaving = host.agent?.leaveNone('it is told to');
    goOn.resolve();
    await leaving;
    expect(await renewing).toMatchObject({
      renewal: { outcome: 'renewed' },
    });
    expect(vmm.guest.running).toBe(true);
  });

  it('an agent that is told to end waits for it without a limit as long as its guest is stopped', async () => {
    const { vmm, goOn, renewing } = await heldUp();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let isOver = false;
    const leaving = host.agent?.leaveNone('it is told to').finally(() => {
      isOver = true;
    });
    const said = () =>
      host.log.filter((line) => line.includes('the agent does not end before they run')).length;
    for (const times of [1, 2]) {
      vi.advanceTimersByTime(20_000);
      while (!isOver && said() < times) await new Promise((resolve) => setImmediate(resolve));
    }
    vi.useRealTimers();
    expect([isOver, said(), vmm.guest.running]).toEqual([false, 2, false]);
    goOn.resolve();
    await leaving;
    expect(await renewing).toMatchObject({ renewal: { outcome: 'renewed' } });
    expect(vmm.guest.running).toBe(true);
  });

  it('an agent that dies leaves it to the next one, which ends the old VMM', async () => {
    const { vmm, old, goOn, renewing } = await heldUp();
    host.kill();
    expect(await renewing).toBeInstanceOf(Error);
    // The carrier goes on, and is waited for.
    const starting = host.start();
    goOn.resolve();
    client = await starting;
    await host.agent?.settled;
    expect(vmm.pid).not.toBe(old);
    expect(vmm.guest).toMatchObject({ running: true, loaded: 'device state' });
    const { machines } = await client.call('ListMachines', {});
    expect(machines).toMatchObject([{ name: 'one', pid: vmm.pid, session: 'machine:one' }]);
    expect((await renew(vmm.pid)).renewal).toMatchObject({ outcome: 'renewed', problem: null });
  });

  it('an agent that dies before the new VMM fails leaves the old one to be let run', async () => {
    const { vmm, old, goOn, renewing } = await heldUp();
    host.kill();
    await renewing;
    vmms.failing.add('one');
    const starting = host.start();
    goOn.reject(new Error('its VMM ended at once'));
    client = await starting;
    await host.agent?.settled;
    vmms.failing.delete('one');
    expect(vmm.pid).toBe(old);
    expect(vmm.guest.running).toBe(true);
    const { machines } = await client.call('ListMachines', {});
    expect(machines).toMatchObject([{ name: 'one', pid: old, session: 'machine:one' }]);
  });
});
