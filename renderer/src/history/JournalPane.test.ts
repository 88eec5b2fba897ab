// SPDX-License-Identifier: Apache-2.0
/** The journal: its filters, what stands there when none matches, verifying its chain, and what works while away. */
import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { type FakeBridge, failure } from '../../test/fake-bridge.ts';
import { type Rendered, renderInConsole } from '../../test/in-console.ts';
import { type } from '../../test/open-console.ts';
import JournalPane from './JournalPane.svelte';

function openJournal(prepare: (bridge: FakeBridge) => void = () => {}): Rendered {
  const given = ({ app }: Rendered) => {
    const host = app.hosts.focused;
    if (!host) throw new Error('there is a host');
    return { host, journal: app.data(host.id).journal };
  };
  return renderInConsole(JournalPane, given, ({ bridge }) => prepare(bridge));
}

/** Types into a filter. They apply a moment after the last key, which nobody has to wait for here. */
async function filter(label: string, value: string): Promise<void> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  await type(label, value);
  vi.runAllTimers();
  vi.useRealTimers();
}

describe('the journal', () => {
  test.each([
    ['Name', 'session', { name: 'session' }],
    ['Session', 'web-01', { session: 'web-01' }],
    ['Update', 'u-0003', { update: 'u-0003' }],
    ['Text', 'digest', { text: 'digest' }],
  ])('is filtered by %s', async (label, value, asked) => {
    const { bridge } = openJournal();
    await screen.findByText('1403');
    await filter(label, value);
    await waitFor(() => expect(bridge.askedFor('QueryJournal').at(-1)).toMatchObject(asked));
  });

  test('says when no entry matches, and shows all again without filters', async () => {
    openJournal();
    await screen.findByText('1403');
    await filter('Text', 'no such thing');
    expect(await screen.findByText('No entry matches these filters')).toBeTruthy();
    await fireEvent.click(screen.getByRole('button', { name: 'Clear filters' }));
    expect(await screen.findByText('1403')).toBeTruthy();
  });

  test('says when it is empty', async () => {
    openJournal((fake) => fake.answers.set('QueryJournal', () => ({ entries: [], more: false })));
    expect(await screen.findByText('The journal is empty')).toBeTruthy();
  });

  test('is verified, and a broken chain is named by its entry', async () => {
    const { app, bridge } = openJournal();
    const told = () => app.messages.map(({ title, text }) => `${title} ${text}`).at(-1);
    await fireEvent.click(await screen.findByRole('button', { name: 'Verify chain' }));
    await waitFor(() => expect(told()).toMatch(/^The chain of hashes is intact/));
    bridge.answers.set('VerifyJournal', () => ({ entries: 9, intact: false, firstBad: 7 }));
    await fireEvent.click(screen.getByRole('button', { name: 'Verify chain' }));
    await waitFor(() => expect(told()).toMatch(/Entry 7 does not fit the one before it/));
  });

  test('that cannot be read says why and is read again', async () => {
    const { bridge } = openJournal((fake) => {
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
    openJournal((fake) => {
      fake.live = false;
      fake.hosts = fake.hosts.map((host) => ({ ...host, state: 'away' as const }));
    });
    expect((await screen.findByRole<HTMLButtonElement>('button', { name: 'Verify chain' })).disabled).toBe(
      true,
    );
    expect(screen.getByLabelText<HTMLInputElement>('Follow').disabled).toBe(true);
  });
});
