// SPDX-License-Identifier: Apache-2.0
/**
 * Machines that an update could not start again, in the window. Their VMMs need files that were removed before the
 * update. When its file is there again, in another place, one is told so and goes on at the next count. The other is
 * given up.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { type Console, openConsole } from '../support/console.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { expectUnharmed, type Guest, guestsDirectory, installGuests, startGuest } from '../support/guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { carryOut, planFor } from '../support/update.ts';
import { hostIs, machine, patienceMs, show } from '../support/window.ts';

const kernelOf = (name: string): string => `${guestsDirectory}/kernel-of-${name}`;
const kernel = kernelOf('web-01');

/** The memory of the machine that is given up, and how much of it the host must have back, both in MiB. */
const memoryMiB = 64;
const leastFreedMiB = 60;

describe('a held machine', () => {
  let host: LabHost;
  let guest: Guest;
  let window: Console;

  beforeAll(async () => {
    host = await freshHost('held', { reuse: true });
    await installGuests(host);
    const agent = await connect(host);
    const start = async (name: string, mib?: number): Promise<Guest> => {
      await run(host, `cp ${guestsDirectory}/guest-bare ${kernelOf(name)}`);
      const size = mib === undefined ? {} : { mib };
      const options = { name, kind: 'bare', memory: 'shared', kernel: kernelOf(name), ...size } as const;
      const started = await startGuest(host, options);
      await agent.call('AdoptMachine', { pid: started.pid });
      await run(host, `rm ${kernelOf(name)}`);
      return started;
    };
    guest = await start('web-01');
    await start('web-02', memoryMiB);
    const done = await carryOut(host, agent, await planFor(agent, '-b'));
    expect(done.update.machines.map(({ name, stage }) => [name, stage]).sort()).toEqual([
      ['web-01', 'held'],
      ['web-02', 'held'],
    ]);
    done.agent.close();
    window = await openConsole(host);
  });
  afterAll(async () => {
    await window?.[Symbol.asyncDispose]();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  it('is among the machines, and says where its memory is', async () => {
    const { page } = window;
    await hostIs(page, 'Connected');
    await show(page, 'Machines');
    await page
      .getByRole('list', { name: 'Machines' })
      .getByRole('button', { name: /web-01/ })
      .click();
    const detail = page.getByRole('article', { name: 'Held machine web-01' });
    await detail.getByText('machine:web-01').first().waitFor();
    await window.expectAccessible();
    await window.screenshots('machine-held');
  });

  it('stays held as long as its VMM does not start, and the window says why', async () => {
    const { page } = window;
    await page.getByRole('button', { name: 'Try again…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Try web-01 again' }).click();
    await dialog.getByText('web-01 was not started again').waitFor({ timeout: patienceMs });
    await window.expectAccessible();
    await window.screenshots('machine-held-retry');
  });

  it('goes on at the next count when it is told where its file is now', async () => {
    const { page } = window;
    await run(host, `cp ${guestsDirectory}/guest-bare ${kernel}-moved`);
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel(`File ${kernel}`).fill(`${kernel}-moved`);
    await window.expectAccessible();
    await window.screenshots('machine-held-other-path');
    await dialog.getByRole('button', { name: 'Try web-01 again' }).click();
    await dialog.waitFor({ state: 'detached', timeout: patienceMs });
    await machine(page, 'web-01').getByText('Adopted', { exact: true }).waitFor();
    await expectUnharmed(host, [guest]);
  });

  /** Memory of the host that is in files, in MiB. */
  const sharedMiB = async (): Promise<number> => {
    const [, kibibytes] = /^Shmem:\s+(\d+) kB$/m.exec(await run(host, 'cat /proc/meminfo')) ?? [];
    if (kibibytes === undefined) throw new Error('the kernel of the host does not count shared memory');
    return Number(kibibytes) / 1024;
  };

  it('that is given up leaves no session and no memory behind, and the journal has it', async () => {
    const { page } = window;
    const before = await sharedMiB();
    await page
      .getByRole('list', { name: 'Machines' })
      .getByRole('button', { name: /web-02/ })
      .click();
    const detail = page.getByRole('article', { name: 'Held machine web-02' });
    await detail.getByRole('button', { name: 'Give up…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText(/are lost for good$/).waitFor();
    const button = dialog.getByRole('button', { name: 'Give up web-02' });
    expect(await button.isDisabled()).toBe(true);
    await dialog.getByLabel('Type web-02 to confirm').fill('web-02');
    await window.expectAccessible();
    await button.click();
    await dialog.waitFor({ state: 'detached', timeout: patienceMs });
    await detail.waitFor({ state: 'detached', timeout: patienceMs });
    const agent = await connect(host);
    const { sessions } = await agent.call('ListSessions', {});
    expect(sessions.map(({ name }) => name)).toEqual(['machine:web-01']);
    expect((await agent.call('ListHeldMachines', {})).machines).toEqual([]);
    const { entries } = await agent.call('QueryJournal', { name: 'machine.abandon' });
    agent.close();
    const given = { session: 'machine:web-02', parameters: { name: 'web-02' } };
    expect(entries).toMatchObject([
      { kind: 'result', ok: true, ...given },
      { kind: 'act', ...given },
    ]);
    // The service manager gives its copies up a little later.
    await expect
      .poll(async () => before - (await sharedMiB()), { timeout: patienceMs })
      .toBeGreaterThanOrEqual(leastFreedMiB);
    await expectUnharmed(host, [guest]);
  });
});
