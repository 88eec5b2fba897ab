// SPDX-License-Identifier: Apache-2.0
/** The command palette: finds actions, does them, and says why one is off. */
import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { progress, you } from '../../test/fake-data.ts';
import { openConsole } from '../../test/open-console.ts';

async function open() {
  await fireEvent.click(screen.getByRole('button', { name: /Find or do/ }));
  return await screen.findByRole('dialog', { name: 'Command palette' });
}
const option = (name: RegExp) => screen.getByRole('option', { name });

describe('the command palette', () => {
  test('finds an action by typing, and does it', async () => {
    await openConsole();
    await open();
    await fireEvent.input(screen.getByLabelText('Command'), { target: { value: 'create session' } });
    await waitFor(() => expect(screen.queryByRole('option', { name: /^Hosts/ })).toBeNull());
    await fireEvent.click(option(/^Create session/));
    expect(await screen.findByRole('dialog', { name: /^Create session on hv-01/ })).toBeTruthy();
  });

  test('says when there is no such action', async () => {
    await openConsole();
    await open();
    await fireEvent.input(screen.getByLabelText('Command'), { target: { value: 'zzzz' } });
    expect(await screen.findByText('No action found.')).toBeTruthy();
  });

  test('keeps acts off for a viewer, and says what they need', async () => {
    const bridge = await openConsole();
    bridge.changeStatus('h1', { you: { ...you, role: 'viewer' } });
    await open();
    const off = option(/^Update hv-01/);
    expect(off.getAttribute('aria-disabled')).toBe('true');
    expect(off.textContent).toMatch(/may look but not act/);
  });

  test('keeps changes off while an update is under way', async () => {
    const bridge = await openConsole();
    bridge.changeStatus('h1', { phase: 'prepared', progress: progress('prepared') });
    await open();
    expect(option(/^Create session/).textContent).toMatch(/A live update is under way/);
  });
});
