// SPDX-License-Identifier: Apache-2.0
/** A held machine: what is kept of it and where, and when it can be tried again or given up. */
import type { HeldMachine } from '@luo-console/agent/interface';
import type { Host } from '@luo-console/electron/interface';
import { fireEvent, screen } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { heldMachine, host, status, you } from '../../test/fake-data.ts';
import { renderInConsole } from '../../test/in-console.ts';
import { heldWords } from '../words/machines.ts';
import HeldDetail from './HeldDetail.svelte';

const show = (machine: Partial<HeldMachine> = {}, more: Partial<Host> = {}) =>
  renderInConsole(HeldDetail, { host: host(more), machine: heldMachine(machine) });

const button = (name: string) => screen.getByRole<HTMLButtonElement>('button', { name });
const facts = () =>
  screen.getAllByRole('definition').map(({ textContent }) => textContent?.replace(/\s+/g, ' ').trim());

describe('a held machine', () => {
  test('says in words that it is held, what that means, and what is kept', () => {
    show({ session: 'mail', way: 'named_memory' });
    expect(screen.getByText('Held')).toBeTruthy();
    expect(
      screen.getByText('It does not run. Its memory and its state are kept in session mail.'),
    ).toBeTruthy();
    expect(facts()).toEqual(['mail Show in Sessions', 'named memory', '2 GiB']);
    expect(screen.queryByRole('note')).toBeNull();
  });

  test('says what its command line names, unless its agent is too old to tell', () => {
    show({ session: 'mail', names: [{ name: '/srv/mail.img', kind: 'disk', option: '-drive file' }] });
    expect(screen.getByRole('region', { name: 'Paths and interfaces on its command line' })).toBeTruthy();
    expect(screen.getByText('Disk')).toBeTruthy();
    expect(facts().at(-1)).toBe('/srv/mail.img in -drive file');
    show({ names: null });
    expect(screen.queryByRole('region')).toBeNull();
  });

  test('leads to its session', async () => {
    const { app } = show({ session: 'mail' });
    await fireEvent.click(button('Show in Sessions'));
    expect(app).toMatchObject({ view: 'sessions', selectedSession: 'mail' });
  });

  test('that can be tried again is tried or given up in a dialog', async () => {
    const { app, bridge } = show();
    expect(button('Try again…').disabled).toBe(false);
    await fireEvent.click(button('Try again…'));
    expect(app.dialog).toEqual({ name: 'retry', machine: heldMachine() });
    await fireEvent.click(button('Give up…'));
    expect(app.dialog).toEqual({ name: 'abandon', machine: heldMachine() });
    expect(bridge.askedFor('RetryMachine')).toEqual([]);
    expect(bridge.askedFor('AbandonMachine')).toEqual([]);
  });

  test('that cannot be tried again says why, and can still be given up', async () => {
    const { app } = show({ problem: 'the guest may have run, and its saved state no longer fits' });
    expect(screen.getByRole('note').textContent).toMatch(
      /It cannot be tried again.*The guest may have run, and its saved state no longer fits\./s,
    );
    // Nobody knows whether it runs, so nothing is said of it.
    expect(screen.getByRole('note').textContent).toContain(heldWords.mayRun);
    expect(screen.queryByText(/It does not run/)).toBeNull();
    expect(button('Try again…').disabled).toBe(true);
    expect(button('Try again…').title).toBe(
      `${heldWords.unusable}. The guest may have run, and its saved state no longer fits.`,
    );
    await fireEvent.click(button('Give up…'));
    expect(app.dialog?.name).toBe('abandon');
  });

  test.each<[string, Partial<Host>, string]>([
    ['disconnected', { state: 'disconnected' }, 'hv-01 is not connected.'],
    ['away', { state: 'away' }, 'hv-01 is away and should return by itself.'],
    [
      'only to be looked at',
      { status: { ...status({ you: { ...you, role: 'viewer' } }) } },
      'kim may look but not act. Acting needs the group luo-console-operator.',
    ],
    [
      'in an update',
      { status: { ...status({ phase: 'prepared' }) } },
      'A live update is under way (prepared).',
    ],
  ])('on a host that is %s is left as it is, and says why', (_, more, why) => {
    show({}, more);
    expect(screen.getByText(why)).toBeTruthy();
    for (const name of ['Try again…', 'Give up…']) {
      expect(button(name).disabled).toBe(true);
      expect(button(name).title).toBe(why);
    }
    expect(button('Show in Sessions').disabled).toBe(false);
  });
});
