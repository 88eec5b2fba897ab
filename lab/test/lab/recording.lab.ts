// SPDX-License-Identifier: Apache-2.0
/**
 * What agents say to a client that follows an update from beginning to end: one that the kernel refuses, and one that
 * is carried out. The window's tests take their progress from recordings of this, so what they rely on is checked
 * here. With LUO_RECORD=1 new recordings are written to renderer/test/recorded.
 */
import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { AgentClient } from '@luo-console/agent/client';
import { Phase, type Progress, type Update } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { setSwitch } from '../support/device-guest.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { connect, freshHost } from '../support/host.ts';
import { holdMemory, run } from '../support/memory.ts';
import { planFor, type Reply, runPlan } from '../support/update.ts';

const repositoryTop = fileURLToPath(new URL('../../../', import.meta.url));
const graceSeconds = 2;

/** A reply and when it was heard: on the host's clock, which need not be this machine's, in µs since the epoch. */
interface Heard extends Reply {
  readonly atUs: number;
}

/** How far a host's clock is ahead of this machine's, in µs. */
async function clockAhead(agent: AgentClient): Promise<number> {
  const askedAt = Date.now();
  const { status } = await agent.call('GetStatus', {});
  return status.nowUs - Math.round(((askedAt + Date.now()) / 2) * 1000);
}

/** Writes a recording, if that is wanted. */
async function keep(name: string, heard: readonly Heard[]): Promise<void> {
  if (process.env['LUO_RECORD'] !== '1') return;
  const file = `${repositoryTop}renderer/test/recorded/${name}.json`;
  await writeFile(file, `${JSON.stringify(heard, null, 2)}\n`);
}

describe('following an update', () => {
  let host: LabHost;
  let agent: AgentClient;

  beforeAll(async () => {
    host = await freshHost('recording', { reuse: true });
    agent = await connect(host);
    const { pid, memfds } = await holdMemory(host, [5, 3, 1]);
    for (const [index, session] of ['web', 'web', 'database'].entries()) {
      if (index !== 1) await agent.call('CreateSession', { name: session });
      await agent.call('PreserveFromProcess', { session, pid, fd: memfds[index]?.fd ?? NaN });
    }
  });
  afterEach((context) => showLogsOfFailed(context, host));
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });

  /** Runs an update into the other kernel and writes down what is heard of it; last the answer of GetUpdate. */
  async function follow(): Promise<{
    heard: readonly Heard[];
    progress: readonly Progress[];
    ended: Update;
  }> {
    const heard: Heard[] = [];
    const ahead = await clockAhead(agent);
    const onReply = (reply: Reply): void => {
      heard.push({ atUs: Date.now() * 1000 + ahead, ...reply });
    };
    const done = await runPlan(host, agent, await planFor(agent, '-b'), { graceSeconds, onReply });
    agent = done.agent;
    const { update } = await agent.call('GetUpdate', { id: done.update.id });
    onReply({ progress: null, update });
    return { heard, progress: heard.flatMap((one) => one.progress ?? []), ended: update };
  }

  /** Fails unless a recording is one that the window's tests can rely on. */
  function expectWhole(heard: readonly Heard[], progress: readonly Progress[], ended: Update): void {
    expect(heard[0]).toMatchObject({ progress: { phase: 'preserving' }, update: null });
    // Progress, then the update as it ended: from who followed it, and from GetUpdate.
    expect(heard.slice(0, -2).every((one) => one.progress !== null)).toBe(true);
    expect(heard.slice(-2)).toMatchObject(Array(2).fill({ progress: null, update: ended }));
    const times = heard.map(({ atUs }) => atUs);
    expect(times).toEqual(times.toSorted((one, other) => one - other));

    // Of one update, whose phases go forward only. A host whose kernel refused is back in *normal* at the end.
    expect(new Set(progress.map(({ update }) => update))).toEqual(new Set([ended.id]));
    const under = progress.filter(({ phase }) => phase !== 'normal');
    expect(progress.slice(0, under.length)).toEqual(under);
    const order = under.map(({ phase }) => Phase.options.indexOf(phase));
    expect(order).toEqual(order.toSorted((one, other) => one - other));
    const told = ended.phases.map(({ phase }) => phase);
    expect(told).toEqual(Phase.options.filter((phase) => told.includes(phase)));
    for (const { phase, phaseStartedAtUs } of under)
      expect(ended.phases).toContainEqual(expect.objectContaining({ phase, startedAtUs: phaseStartedAtUs }));

    // The grace is announced in *prepared*, and is as long as was asked for; an abort works until the kexec.
    const announced = progress.filter(({ graceEndsAtUs }) => graceEndsAtUs !== null);
    expect(new Set(announced.map(({ phase }) => phase))).toEqual(new Set(['prepared']));
    expect(new Set(announced.map(({ graceEndsAtUs }) => graceEndsAtUs))).toEqual(
      new Set([ended.graceEndsAtUs]),
    );
    expect((ended.graceEndsAtUs ?? 0) - (ended.announcedAtUs ?? 0)).toBe(graceSeconds * 1_000_000);
    for (const { phase, mayAbort } of progress)
      expect(mayAbort, phase).toBe(['preserving', 'prepared', 'suspending'].includes(phase));
    // Whoever follows hears of the kexec, and may be there again before the update is settled.
    expect(under.map(({ phase }) => phase)).toContain('kexec');

    // Nothing of the machine that recorded it.
    const text = JSON.stringify(heard);
    for (const path of [repositoryTop, homedir(), host.directory]) expect(text).not.toContain(path);
  }

  it('that the kernel refuses ends in its kexec, with what refused', async () => {
    // A process whose standard input is a device of the lab; it refuses to be frozen.
    const holder = '--unit=device-holder -p StandardInput=file:/dev/luo_lab/memory0';
    await run(host, `systemd-run --quiet ${holder} sleep infinity`);
    const pid = Number(await run(host, 'systemctl show -p MainPID --value device-holder'));
    await agent.call('CreateSession', { name: 'device' });
    await agent.call('PreserveFromProcess', { session: 'device', pid, fd: 0 });
    await setSwitch(host, 'memory0', 'freeze_error', '121');
    const { heard, progress, ended } = await follow();
    await setSwitch(host, 'memory0', 'freeze_error', '0');
    await agent.call('CloseSession', { name: 'device' });

    await keep('refused', heard);
    expectWhole(heard, progress, ended);
    expect(ended).toMatchObject({
      outcome: 'returned',
      refusedBy: { session: 'device', phase: 'kexec', errno: 'EREMOTEIO' },
      blackoutUs: null,
      machines: [],
    });
    expect(ended.phases.map(({ phase }) => phase)).toEqual(['preserving', 'prepared', 'suspending', 'kexec']);
    await keep('refused', heard);
  });

  it('that is carried out ends as updated, with every digest the same', async () => {
    const { heard, progress, ended } = await follow();
    expectWhole(heard, progress, ended);
    expect(ended).toMatchObject({ outcome: 'updated', refusedBy: null, machines: [] });
    expect(ended.carried.map(({ session, verdict }) => [session, verdict])).toEqual(
      ['database', 'web', 'web'].map((session) => [session, 'match']),
    );
    expect(ended.blackoutUs).toBeGreaterThan(0);
    expect(ended.phases.map(({ phase }) => phase).slice(-4)).toEqual([
      'booting',
      'retrieving',
      'resuming',
      'finishing',
    ]);
    await keep('update', heard);
  });
});
