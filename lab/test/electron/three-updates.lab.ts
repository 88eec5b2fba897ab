// SPDX-License-Identifier: Apache-2.0
/**
 * Three live updates in a row on one host, each on top of the last. Then the power is cut between the announcement and
 * the kexec. The console says what that cost, in plain words and item by item.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { type Console, openConsole } from '../support/console.ts';
import { connect, freshHost } from '../support/host.ts';
import { type HeldMemory, holdMemory, run } from '../support/memory.ts';
import {
  createSession,
  hostIs,
  outcome,
  patienceMs,
  planUpdate,
  preserveFromProcess,
  runPlan,
  show,
} from '../support/window.ts';

describe('several live updates of one host', () => {
  let host: LabHost;
  let memory: HeldMemory;
  let window: Console;

  beforeAll(async () => {
    host = await freshHost('three', { reuse: 'its updates are counted' });
    memory = await holdMemory(host, [24, 8]);
    window = await openConsole(host);
  });
  afterAll(async () => {
    await window?.[Symbol.asyncDispose]();
    await host?.down();
  });

  it('begins with a session of two descriptors', async () => {
    const { page } = window;
    await hostIs(page, 'Connected');
    await createSession(page, 'guest');
    const fds = memory.memfds.map(({ fd }) => fd);
    await preserveFromProcess(page, 'guest', memory.pid, fds);
  });

  it.each([
    { number: 1, from: '-a', to: '-b' },
    { number: 2, from: '-b', to: '-a' },
    { number: 3, from: '-a', to: '-b' },
  ])('is live update number $number, from $from to $to', async ({ number, from, to }) => {
    const { page } = window;
    expect((await run(host, 'uname -r')).trim()).toMatch(new RegExp(`${from}$`));
    await planUpdate(page, to);
    await runPlan(page, 'lab', 0);
    const report = await outcome(page);
    await report.getByRole('heading', { name: 'Updated' }).waitFor();
    await report.getByText('2 of 2 match').waitFor();
    await report.getByText(`${number - 1} → ${number}`).waitFor();
    await hostIs(page, 'Connected');
    expect((await run(host, 'uname -r')).trim()).toMatch(new RegExp(`${to}$`));
    expect(await run(host, 'dmesg')).toContain(`liveupdate number: ${number}`);
    await page.getByRole('button', { name: 'Another live update' }).click();
  });

  it('is a cold boot if the power is cut between announcement and kexec, and says what was lost', async () => {
    const { page } = window;
    await planUpdate(page, '-a');
    await runPlan(page, 'lab', 600);
    await page.getByText(/left in the grace/).waitFor({ timeout: patienceMs });
    await host.powerCut();
    await page.getByText('The host went away before the kexec.').waitFor({ timeout: patienceMs });
    await host.powerOn();

    const report = await outcome(page);
    await report.getByRole('heading', { name: 'Cold boot' }).waitFor({ timeout: patienceMs });
    await report
      .getByText('The host started without a handover. What was preserved in memory is lost.')
      .waitFor();
    await report.getByText('Lost: 2 descriptors, 32 MiB').waitFor();
    expect(await report.getByRole('listitem').filter({ hasText: 'guest' }).count()).toBe(2);
    await window.expectAccessible();
    await window.screenshots('update-cold-boot');

    await show(page, 'History');
    const updates = page.getByRole('list', { name: 'Live updates' });
    await expect.poll(() => updates.getByRole('button').count()).toBe(4);
    expect(await updates.getByRole('button').first().textContent()).toContain('2 lost');
    const agent = await connect(host);
    expect((await agent.call('ListSessions', {})).sessions).toEqual([]);
    agent.close();
  });
});
