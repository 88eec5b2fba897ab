// SPDX-License-Identifier: Apache-2.0
/**
 * A Linux guest that counts goes on counting after its host's kernel was replaced, driven from the window. There are
 * two of them. Somebody started one by hand, and it is adopted while it runs. The agent started the other from a file
 * that describes it. Across the update no count is missing or repeated, the guest's clock does not jump back, and its
 * 32 MiB are what they must be.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { type Console, openConsole } from '../support/console.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import {
  expectUnharmed,
  guestCommandLine,
  guestsDirectory,
  installGuests,
  startGuest,
  waitForCounts,
} from '../support/guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { blackoutLine, broughtBackBy, expectWholeBlackout, expectWholeBoot } from '../support/update.ts';
import {
  adopt,
  hostIs,
  machine,
  outcome,
  patienceMs,
  planUpdate,
  runPlan,
  show,
  startDefined,
} from '../support/window.ts';

/** Started by hand. */
const foundMachine = { name: 'web-01', log: `${guestsDirectory}/web-01.log` };
/** Started by the agent, from a file of this name. */
const definedMachine = { name: 'db-01', log: '/var/log/luo-console/machines/db-01/console.log' };
/** Counts in which a guest has looked at all of its 32 MiB once, and a few more. */
const countsInWholePass = 132;

describe('a Linux guest', () => {
  let host: LabHost;
  let window: Console;

  beforeAll(async () => {
    host = await freshHost('guest', { reuse: 'it gets the definition of a machine' });
    await installGuests(host);
    const definition = {
      description: 'Counts, and knows what is in its memory',
      memory: 80,
      accelerator: 'tcg',
      kernel: `${guestsDirectory}/vmlinuz`,
      initrd: `${guestsDirectory}/guest-initramfs`,
      commandLine: guestCommandLine('linux', definedMachine.name),
    };
    const path = `/etc/luo-console/machines/${definedMachine.name}.json`;
    await host.sh(['tee', path], { input: JSON.stringify(definition) });
    await startGuest(host, { name: foundMachine.name, kind: 'linux', memory: 'shared' });
    window = await openConsole(host);
  });
  afterAll(async () => {
    await window?.[Symbol.asyncDispose]();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  it('that was started by hand is found, and adopted while it runs', async () => {
    const { page } = window;
    await hostIs(page, 'Connected');
    await waitForCounts(host, [foundMachine], 1);
    await show(page, 'Machines');
    await machine(page, foundMachine.name).getByText('cpr-transfer').first().waitFor();
    await window.expectAccessible();
    await window.screenshots('machines');
    await adopt(page, foundMachine.name);
    await expectUnharmed(host, [foundMachine]);
  });

  it('that is described in a file is started, and adopted with that', async () => {
    const { page } = window;
    await startDefined(page, definedMachine.name);
    await waitForCounts(host, [definedMachine], 1);
    await machine(page, definedMachine.name).getByRole('tab', { name: 'Order' }).click();
    await window.expectAccessible();
    await window.screenshots('machine-order');
  });

  it('prints its counts on a console in the window', async () => {
    const { page } = window;
    await machine(page, definedMachine.name).getByRole('button', { name: 'Console' }).click();
    await page.getByRole('heading', { name: 'Terminal', level: 1 }).waitFor();
    const screen = page.locator('.xterm-rows').last();
    await expect.poll(() => screen.textContent(), { timeout: patienceMs }).toMatch(/count=\d+ boot=\d+ sum=/);
    await window.screenshots('machine-console');
  });

  it('goes on counting after the kernel of its host was replaced', async () => {
    const { page } = window;
    await waitForCounts(host, [foundMachine, definedMachine], 1);
    await planUpdate(page, '-b');
    const planned = page.getByRole('list', { name: 'Machines in the plan' });
    for (const { name } of [foundMachine, definedMachine]) {
      const row = planned.getByRole('listitem', { name });
      await row.getByText('Carried over').waitFor();
      await row.getByText(/^Expected blackout: \S+/).waitFor();
    }
    await window.expectAccessible();
    await window.screenshots('machines-plan');
    await runPlan(page, 'lab', 0);
    const underWay = page.getByRole('table', { name: 'Machines in it' });
    for (const { name } of [foundMachine, definedMachine])
      await underWay.getByRole('row', { name }).waitFor({ timeout: patienceMs });
    await page.getByText('The host is away, as expected.').waitFor({ timeout: patienceMs });
    await window.screenshots('machines-away');

    const report = await outcome(page);
    await report.getByRole('heading', { name: 'Updated' }).waitFor();
    await hostIs(page, 'Connected');
    expect((await run(host, 'uname -r')).trim()).toMatch(/-b$/);
    const fared = report.getByRole('table', { name: 'Machines of the live update' });
    for (const { name } of [foundMachine, definedMachine])
      await fared.getByRole('row', { name }).getByText('Runs again').waitFor();
    const timeline = await report.getByRole('img', { name: /^Timeline:/ }).getAttribute('aria-label');
    for (const { name } of [foundMachine, definedMachine]) expect(timeline).toContain(name);
    const boot = report.getByRole('table', { name: 'Stretches of the kernel’s boot' });
    await boot.getByRole('row', { name: /Finding preserved memory/ }).waitFor();
    await boot.getByRole('row', { name: /The rest/ }).waitFor();
    await window.screenshots('machines-outcome');
    await report.getByText(new RegExp(`^Each instruction of ${foundMachine.name} `)).click();
    const instructions = report.getByRole('table', { name: `Instructions of ${foundMachine.name}` });
    await instructions.waitFor();
    expect(await instructions.getByRole('row').count()).toBeGreaterThan(5);
    await window.expectAccessible();

    const reports = await expectUnharmed(host, [foundMachine, definedMachine], countsInWholePass);
    console.log(
      reports
        .map(
          ({ lines, largestGapNs, largestGapAt }) =>
            `${lines} counts, gap ${largestGapNs} ns before ${largestGapAt}`,
        )
        .join('\n'),
    );
  });

  it('leaves a picture of its blackout that can be saved', async () => {
    const path = join(window.profile, 'blackout.png');
    await window.app.evaluate(({ dialog }, filePath) => {
      dialog.showSaveDialog = () => Promise.resolve({ canceled: false, filePath });
    }, path);
    await (await outcome(window.page)).getByRole('button', { name: 'Save as PNG' }).click();
    await window.page.getByText('The picture was saved').first().waitFor();
    // The signature of every PNG file (RFC 2083).
    expect((await readFile(path)).subarray(1, 4).toString('latin1')).toBe('PNG');
  });

  it('is there in the window as before, and the journal has its blackout', async () => {
    const { page } = window;
    await show(page, 'Machines');
    for (const { name } of [foundMachine, definedMachine]) {
      await page.getByRole('list', { name: 'Machines' }).getByRole('button', { name }).click();
      await machine(page, name).getByText('Running', { exact: true }).waitFor({ timeout: patienceMs });
      await machine(page, name).getByText('Adopted', { exact: true }).waitFor();
    }
    const agent = await connect(host);
    const { updates } = await agent.call('ListUpdates', { limit: 1 });
    const [update] = updates;
    if (!update) throw new Error('the agent knows of no update');
    const broughtBack = await broughtBackBy(agent, update);
    agent.close();
    expect(broughtBack).toEqual({ [foundMachine.name]: 'carrier', [definedMachine.name]: 'carrier' });
    console.log(update.machines.map(blackoutLine).join('\n'));
    expect(update.machines.map(({ name, way }) => [name, way]).sort()).toEqual([
      [definedMachine.name, 'cpr'],
      [foundMachine.name, 'cpr'],
    ]);
    for (const each of update.machines) expectWholeBlackout(each);
    expectWholeBoot(update);
  });
});
