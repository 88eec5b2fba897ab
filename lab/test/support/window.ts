// SPDX-License-Identifier: Apache-2.0
/** What a person does in the window, step by step, by the names they see. */
import type { Locator, Page } from 'playwright-core';
import { expect } from 'vitest';

export type View = 'Hosts' | 'Sessions' | 'Machines' | 'Live update' | 'History' | 'Terminal';

/** Longest that anything under emulation may take, in ms: only ends what hangs. */
export const patienceMs = 300_000;

export async function show(page: Page, view: View): Promise<void> {
  await page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name: view }).click();
  await page.getByRole('heading', { name: view, level: 1 }).waitFor();
}

/** Waits until the bar at the top says so of the host in focus. */
export async function hostIs(page: Page, connection: 'Connected' | 'Away'): Promise<void> {
  const bar = page.getByLabel('Host in focus');
  await bar.getByText(connection, { exact: true }).waitFor({ timeout: patienceMs });
}

export async function createSession(page: Page, name: string): Promise<void> {
  await show(page, 'Sessions');
  await page.getByRole('button', { name: 'Create session' }).first().click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill(name);
  await dialog.getByRole('button', { name: 'Create' }).click();
  await dialog.waitFor({ state: 'detached' });
  await session(page, name).waitFor();
}

export function session(page: Page, name: string): Locator {
  return page.getByRole('article', { name: `Session ${name}` });
}

/** Preserves descriptors of a running process in a session, chosen from the list of candidates. */
export async function preserveFromProcess(
  page: Page,
  name: string,
  pid: number,
  fds: readonly number[],
): Promise<void> {
  await session(page, name).getByRole('button', { name: 'Preserve…' }).click();
  const dialog = page.getByRole('dialog');
  const process = dialog.getByRole('region', { name: `Process ${pid}` });
  for (const fd of fds)
    await process.getByRole('checkbox', { name: new RegExp(`descriptor ${fd}$`) }).check();
  await dialog.getByRole('button', { name: 'Preserve', exact: true }).click();
  await dialog.waitFor({ state: 'detached', timeout: patienceMs });
  await expect
    .poll(() => session(page, name).getByRole('table').getByRole('row').count(), { timeout: patienceMs })
    .toBe(fds.length + 1);
}

/** The details of a machine, once it is chosen. */
export function machine(page: Page, name: string): Locator {
  return page.getByRole('article', { name: `Machine ${name}`, exact: true });
}

/** Adopts a running machine, chosen from the list of those that were found. */
export async function adopt(page: Page, name: string): Promise<void> {
  await page.getByRole('list', { name: 'Machines' }).getByRole('button', { name }).click();
  await machine(page, name).getByRole('button', { name: 'Adopt…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: `Adopt ${name}` }).click();
  await dialog.waitFor({ state: 'detached', timeout: patienceMs });
  await machine(page, name).getByText('Adopted', { exact: true }).waitFor();
}

/** Starts a machine that is described in a file on the host. */
export async function startDefined(page: Page, name: string): Promise<void> {
  const defined = page.getByRole('list', { name: 'Defined, not running' });
  await defined.getByRole('button', { name }).click();
  await page
    .getByRole('article', { name: `Definition ${name}` })
    .getByRole('button', { name: 'Start' })
    .click();
  await machine(page, name).getByText('Adopted', { exact: true }).waitFor({ timeout: patienceMs });
}

/** Chooses a kernel by the end of its release and has a plan made. */
export async function planUpdate(page: Page, releaseEnd: string): Promise<void> {
  await show(page, 'Live update');
  await page.getByRole('radio', { name: new RegExp(`${releaseEnd}$`) }).check({ force: true });
  await page.getByRole('button', { name: 'Plan live update' }).click();
  await page.getByRole('heading', { name: /^Plan:/ }).waitFor({ timeout: patienceMs });
}

/** Runs the plan on screen, after typing the host's name. */
export async function runPlan(page: Page, host: string, graceSeconds: number): Promise<void> {
  await page.getByLabel('Grace, seconds').fill(String(graceSeconds));
  await page.getByRole('button', { name: 'Run live update' }).click();
  const dialog = page.getByRole('dialog');
  const button = dialog.getByRole('button', { name: new RegExp(`^Replace the kernel of ${host}: `) });
  expect(await button.isDisabled()).toBe(true);
  await dialog.getByLabel(`Type ${host} to confirm`).fill(host);
  await button.click();
}

/** The report of how the update ended, once it is there. */
export async function outcome(page: Page): Promise<Locator> {
  const report = page.getByRole('article', { name: 'Outcome of the live update' });
  await report.waitFor({ timeout: patienceMs });
  return report;
}
