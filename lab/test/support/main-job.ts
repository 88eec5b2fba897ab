// SPDX-License-Identifier: Apache-2.0
/**
 * The main job, through the real window on a real kernel. Connect by ssh to a fresh host, create two sessions, and
 * preserve 256 MiB of random memory held by a process in the host. Replace the kernel, wait for the host to come back
 * by itself, and read that it worked. Every digest must match. The same on every service manager that the lab has.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LabHost, Suite } from '../../src/index.ts';
import { type Console, openConsole } from './console.ts';
import { freshHost } from './host.ts';
import { type JournalRow, readJournalFile } from './journal-file.ts';
import { type HeldMemory, holdMemory, run } from './memory.ts';
import {
  createSession,
  hostIs,
  outcome,
  patienceMs,
  planUpdate,
  preserveFromProcess,
  runPlan,
  session,
  show,
} from './window.ts';

const windowSizes = [96, 64, 48, 32, 16];
const phasesShown = [
  'preserving',
  'prepared',
  'suspending',
  'kexec',
  'booting',
  'retrieving',
  'resuming',
  'finishing',
];

interface RecordedUpdate {
  id: string;
  outcome: string;
  fromRelease: string;
  toRelease: string;
  blackoutUs: number;
  phases: { phase: string; durationUs: number | null }[];
  carried: { session: string; token: string; digestBefore: string; verdict: string }[];
}

/** What the journal's last entry about an update says of it. */
function settledUpdate(rows: readonly JournalRow[]): RecordedUpdate {
  const settled = rows.filter(({ name }) => name === 'update.settled').at(-1);
  if (!settled)
    throw new Error(`no update is settled in the journal: ${rows.map(({ name }) => name).join(', ')}`);
  return JSON.parse(settled.parameters).record;
}

/**
 * Declares the tests.
 *
 * @param suite of Debian
 * @param manager what the window has to show of the service manager
 */
export function mainJob(suite: Suite, manager: RegExp): void {
  let host: LabHost;
  let memory: HeldMemory;
  let window: Console;

  beforeAll(async () => {
    host = await freshHost(`main-${suite}`, { suite, reuse: 'its journal is read from the beginning' });
    memory = await holdMemory(host, windowSizes);
    window = await openConsole(host);
  });
  afterAll(async () => {
    await window?.[Symbol.asyncDispose]();
    await host?.down();
  });

  it('connects by ssh and shows the host', async () => {
    const { page } = window;
    await hostIs(page, 'Connected');
    await show(page, 'Hosts');
    await page
      .getByText(/7\.\d+\.\d+-a/)
      .first()
      .waitFor();
    await page.getByText(manager).first().waitFor();
    await window.expectAccessible();
    await window.screenshots('hosts');
  });

  it('creates two sessions and preserves 256 MiB in five memfds', async () => {
    const { page } = window;
    await show(page, 'Sessions');
    await window.screenshots('sessions-empty');
    const fds = memory.memfds.map(({ fd }) => fd);
    await createSession(page, 'web-01');
    await preserveFromProcess(page, 'web-01', memory.pid, fds.slice(0, 3));
    await createSession(page, 'web-02');
    await preserveFromProcess(page, 'web-02', memory.pid, fds.slice(3));
    await page
      .getByRole('list', { name: 'Sessions' })
      .getByRole('button', { name: /web-01/ })
      .click();
    await session(page, 'web-01').getByText('208 MiB').first().waitFor();
    await window.expectAccessible();
    await window.screenshots('sessions');
  });

  it('replaces the kernel, and reconnects by itself', async () => {
    const { page } = window;
    await planUpdate(page, '-b');
    await window.expectAccessible();
    await window.screenshots('update-plan');
    // Long enough for its pictures, if they are asked for.
    await runPlan(page, 'lab', 8);
    await page.getByText(/left in the grace/).waitFor({ timeout: patienceMs });
    await window.screenshots('update-announced');
    await page.getByText('The host is away, as expected.').waitFor({ timeout: patienceMs });
    await page.getByRole('timer', { name: 'Blackout' }).waitFor();
    await window.screenshots('update-away');

    const report = await outcome(page);
    await report.getByRole('heading', { name: 'Updated' }).waitFor();
    await report.getByText('5 of 5 match').waitFor();
    await hostIs(page, 'Connected');
    expect((await run(host, 'uname -r')).trim()).toMatch(/-b$/);
    await window.expectAccessible();
    await window.screenshots('update-outcome');
  });

  it('shows the history, and the journal on the host agrees with the screen', async () => {
    const { page } = window;
    const rows = await readJournalFile(host);
    const update = settledUpdate(rows);
    expect(update).toMatchObject({ outcome: 'updated' });
    expect(update.phases.map(({ phase }) => phase).filter((phase) => phase !== 'normal')).toEqual(
      phasesShown,
    );

    await show(page, 'History');
    const report = await outcome(page);
    await report.getByRole('heading', { name: 'Updated' }).waitFor();
    await report.getByText(`${update.fromRelease} → ${update.toRelease}`).waitFor();
    // The exact figures stand in the titles of what is shown rounded.
    const exact = (us: number): string => `${us.toLocaleString('en-US').replaceAll(',', ' ')} µs`;
    await report.getByTitle(exact(update.blackoutUs), { exact: true }).first().waitFor();
    const timeline = await report.getByRole('img', { name: /^Timeline:/ }).getAttribute('aria-label');
    for (const phase of phasesShown) expect(timeline?.toLowerCase()).toContain(phase);
    await window.expectAccessible();
    await window.screenshots('history-updates');

    await page.getByRole('tab', { name: 'Journal' }).click();
    const grid = page.getByRole('grid', { name: 'Journal entries' });
    await expect
      .poll(
        async () => Number(await grid.getByRole('row').first().getByRole('gridcell').first().textContent()),
        { timeout: patienceMs },
      )
      .toBe(rows.at(-1)?.sequence);
    const first = grid.getByRole('row').first();
    expect(await first.getByRole('gridcell').nth(3).textContent()).toBe(rows.at(-1)?.name);
    // An announcement comes before what it announces.
    const names = rows.map(({ name }) => name);
    expect(names.indexOf('update.kexec')).toBeGreaterThan(names.indexOf('session.create'));
    expect(names.indexOf('update.kexec')).toBeLessThan(names.indexOf('update.settled'));
    await page.getByRole('button', { name: 'Verify chain' }).click();
    await page.getByText('The chain of hashes is intact').waitFor();
    await window.expectAccessible();
    await window.screenshots('history-journal');
  });

  it('has carried every byte: sha256sum agrees with what was read before', async () => {
    const carried = settledUpdate(await readJournalFile(host)).carried;
    const fetched: string[] = [];
    for (const { session: name, token } of carried) {
      const output = `/run/${name}-${token}`;
      await run(host, `luocon fetch ${name} ${token} --output ${output}`);
      fetched.push((await run(host, `sha256sum < ${output} && rm ${output}`)).slice(0, 64));
    }
    expect(fetched).toEqual(memory.memfds.map(({ digest }) => digest));
    expect(carried.map(({ digestBefore }) => digestBefore)).toEqual(fetched);
    expect(carried.map(({ verdict }) => verdict)).toEqual(fetched.map(() => 'match'));
  });

  it('opens a shell and the serial console', async () => {
    const { page } = window;
    await show(page, 'Terminal');
    await window.screenshots('terminal-empty');
    await page.getByRole('button', { name: 'Shell', exact: true }).click();
    const screen = page.locator('.xterm-rows').first();
    await expect.poll(() => screen.textContent(), { timeout: patienceMs }).toContain('#');
    await page.keyboard.type('uname -r; luocon status\n');
    await expect.poll(() => screen.textContent(), { timeout: patienceMs }).toMatch(/-b, up/);
    await page.getByRole('button', { name: 'Serial console', exact: true }).click();
    await page
      .getByLabel(/serial console/i)
      .last()
      .focus();
    await page.keyboard.press('Enter');
    await expect
      .poll(() => page.locator('.xterm-rows').last().textContent(), { timeout: patienceMs })
      .toMatch(/login:|root@/);
    await window.expectAccessible();
    await window.screenshots('terminal');
  });
}
