// SPDX-License-Identifier: Apache-2.0
/**
 * A machine that an update could not start again, in the window. Its VMM needs a file that was removed before the
 * update. When the file is there again, in another place, the machine is told so and goes on at the next count.
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

const kernel = `${guestsDirectory}/kernel-of-web-01`;

describe('a held machine', () => {
  let host: LabHost;
  let guest: Guest;
  let window: Console;

  beforeAll(async () => {
    host = await freshHost('held', { reuse: true });
    await installGuests(host);
    await run(host, `cp ${guestsDirectory}/guest-bare ${kernel}`);
    guest = await startGuest(host, { name: 'web-01', kind: 'bare', memory: 'shared', kernel });
    const agent = await connect(host);
    await agent.call('AdoptMachine', { pid: guest.pid });
    await run(host, `rm ${kernel}`);
    const done = await carryOut(host, agent, await planFor(agent, '-b'));
    expect(done.update.machines).toMatchObject([{ name: 'web-01', stage: 'held' }]);
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
});
