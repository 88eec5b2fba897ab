// SPDX-License-Identifier: Apache-2.0
/** The journal: its filters, what stands there when none matches, verifying its chain, and what works while away. */
import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { type FakeBridge, failure } from '../../test/fake-bridge.ts';
import { go, openConsole, type } from '../../test/open-console.ts';

async function openJournal(prepare?: (bridge: FakeBridge) => void): Promise<FakeBridge> {
  const bridge = await openConsole(prepare);
  await go('History');
  await fireEvent.click(screen.getByRole('tab', { name: 'Journal' }));
  return bridge;
}

describe('the journal', () => {
  test.each([
    ['Name', 'session', { name: 'session' }],
    ['Session', 'web-01', { session: 'web-01' }],
    ['Update', 'u-0003', { update: 'u-0003' }],
    ['Text', 'digest', { text: 'digest' }],
  ])('is filtered by %s', async (label, value, asked) => {
    const bridge = await openJournal();
    await screen.findByText('1403');
    await type(label, value);
    await waitFor(() => expect(bridge.askedFor('QueryJournal').at(-1)).toMatchObject(asked));
  });

  test('says when no entry matches, and shows all again without filters', async () => {
    await openJournal();
    await screen.findByText('1403');
    await type('Text', 'no such thing');
    expect(await screen.findByText('No entry matches these filters')).toBeTruthy();
    await fireEvent.click(screen.getByRole('button', { name: 'Clear filters' }));
    expect(await screen.findByText('1403')).toBeTruthy();
  });

  test('says when it is empty', async () => {
    await openJournal((fake) => fake.answers.set('QueryJournal', () => ({ entries: [], more: false })));
    expect(await screen.findByText('The journal is empty')).toBeTruthy();
  });

  test('is verified, and a broken chain is named by its entry', async () => {
    const bridge = await openJournal();
    await fireEvent.click(await screen.findByRole('button', { name: 'Verify chain' }));
    expect(await screen.findByText('The chain of hashes is intact')).toBeTruthy();
    bridge.answers.set('VerifyJournal', () => ({ entries: 9, intact: false, firstBad: 7 }));
    await fireEvent.click(screen.getByRole('button', { name: 'Verify chain' }));
    expect(await screen.findByText(/Entry 7 does not fit the one before it/)).toBeTruthy();
  });

  test('that cannot be read says why and is read again', async () => {
    const bridge = await openJournal((fake) => {
      fake.answers.set('QueryJournal', () => {
        throw failure('PermissionDenied', { user: 'lee', needs: 'viewer' });
      });
    });
    expect((await screen.findByRole('alert')).textContent).toMatch(/The journal could not be read/);
    bridge.answers.delete('QueryJournal');
    await fireEvent.click(screen.getByRole('button', { name: 'Retry' }));
    expect(await screen.findByText('1403')).toBeTruthy();
  });

  test('is neither verified nor followed while the host is away', async () => {
    await openJournal((fake) => {
      fake.live = false;
      fake.hosts = fake.hosts.map((host) => ({ ...host, state: 'away' as const }));
    });
    expect((await screen.findByRole<HTMLButtonElement>('button', { name: 'Verify chain' })).disabled).toBe(
      true,
    );
    expect(screen.getByLabelText<HTMLInputElement>('Follow').disabled).toBe(true);
  });
});
