// SPDX-License-Identifier: Apache-2.0
/** The table of the journal: what a row says, which rows there are, choosing one by mouse and keyboard, older pages. */
import type { Entry } from '@luo-console/agent/interface';
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { entries } from '../../test/fake-data.ts';
import { type Rendered, renderInConsole } from '../../test/in-console.ts';
import { JournalStore } from '../state/journal.svelte.ts';
import EntryTable from './EntryTable.svelte';

interface Wishes {
  all?: Entry[];
  /** Which entry is selected, by its place. */
  at?: number;
  more?: boolean;
  prepare?: (rendered: Rendered) => void;
}

function show({ all = entries(30, 30), at = -1, more = false, prepare }: Wishes = {}) {
  const journal = new JournalStore('h1');
  journal.entries = all;
  journal.more = more;
  const onselect = vi.fn<(entry: Entry) => void>();
  const shown = renderInConsole(EntryTable, { journal, selected: all[at] ?? null, onselect }, prepare);
  return { ...shown, journal, onselect };
}

const grid = () => screen.getByRole('grid', { name: 'Journal entries' });
const row = (sequence: number) => screen.getByText(String(sequence)).closest<HTMLElement>('[role=row]');
const cells = (sequence: number) => {
  const found = row(sequence);
  if (!found) throw new Error(`entry ${sequence} has a row`);
  return within(found)
    .getAllByRole('gridcell')
    .map(({ textContent }) => textContent?.replace(/\s+/g, ' ').trim() ?? '');
};
const [one] = entries(2, 1);
if (!one) throw new Error('there is an entry');

describe('a row of the journal', () => {
  test.each<[string, Partial<Entry>, number, string]>([
    ['what it is called', { name: 'session.close' }, 3, 'session.close'],
    ['its session', { session: 'db-02' }, 4, 'db-02'],
    ['no session if it is of none', { session: null }, 4, ''],
    ['its message', { message: 'handed over' }, 5, 'handed over'],
    [
      'what it was asked where there is no message',
      { message: '', parameters: { token: '0x7' } },
      5,
      'token 0x7',
    ],
    ['its error before the message', { ok: false, errno: 'EIO', message: 'EIO: no' }, 5, 'EIO EIO: no'],
    ['who asked', {}, 6, 'kim'],
    ['the agent where nobody asked', { peer: null }, 6, 'agent'],
    ['how long it took', { durationUs: 2_310_000 }, 7, '2.3 s'],
    ['no length of an act that only begins', { kind: 'act', durationUs: null }, 7, ''],
  ])('says %s', (_, more, cell, words) => {
    show({ all: [{ ...one, ...more }] });
    expect(cells(2)[cell]).toBe(words);
  });
});

describe('the rows of the journal', () => {
  test('are newest first, and only those in sight are in the page', () => {
    show({ all: entries(2000, 2000) });
    const rows = screen.getAllByRole('row');
    expect(rows[0]?.getAttribute('aria-rowindex')).toBe('1');
    expect(rows[0]?.textContent).toContain('2000');
    expect(rows.length).toBeLessThan(100);
    expect(grid().getAttribute('aria-rowcount')).toBe('2000');
  });

  test('are chosen with the mouse, and the keys go on from there', async () => {
    const { onselect, journal } = show();
    await fireEvent.click(row(28) as HTMLElement);
    expect(onselect).toHaveBeenCalledExactlyOnceWith(journal.entries[2]);
    expect(document.activeElement).toBe(grid());
  });

  test.each<[string, number, number | null]>([
    ['ArrowDown', -1, 0],
    ['ArrowDown', 3, 4],
    ['ArrowDown', 29, null],
    ['ArrowUp', 3, 2],
    ['ArrowUp', 0, 0],
    ['Home', 12, 0],
    ['End', 12, 29],
    ['a', 12, null],
  ])('are chosen with the keyboard: %s at place %i', async (key, at, to) => {
    const { onselect, journal } = show({ at });
    const handled = !(await fireEvent.keyDown(grid(), { key }));
    expect(onselect.mock.calls).toEqual(to === null ? [] : [[journal.entries[to]]]);
    // A key that chooses must not scroll as well.
    expect(handled).toBe(to !== null);
  });

  test('tell a screen reader which one is chosen', () => {
    show({ at: 4 });
    expect(row(26)?.getAttribute('aria-selected')).toBe('true');
    expect(screen.getAllByRole('row', { selected: true })).toHaveLength(1);
    expect(row(26)?.id).toBeTruthy();
    expect(grid().getAttribute('aria-activedescendant')).toBe(row(26)?.id);
  });

  test('point a screen reader at none while none is chosen', () => {
    show();
    expect(grid().hasAttribute('aria-activedescendant')).toBe(false);
  });
});

describe('older entries', () => {
  test('are read when the end comes near, and said to be', async () => {
    const gate = Promise.withResolvers<object>();
    const { bridge } = show({
      more: true,
      prepare: (rendered) => rendered.bridge.answers.set('QueryJournal', () => gate.promise),
    });
    await waitFor(() => expect(bridge.askedFor('QueryJournal')).toMatchObject([{ before: 1 }]));
    expect(screen.getByRole('status').textContent).toBe('Reading older entries');
    gate.resolve({ entries: [], more: false });
    await waitFor(() => expect(screen.queryByRole('status')).toBeNull());
    expect(bridge.askedFor('QueryJournal')).toHaveLength(1);
  });

  test.each<[string, Wishes]>([
    ['while the end is far', { all: entries(2000, 2000), more: true }],
    ['when there are none', { more: false }],
    ['when there is no entry at all', { all: [], more: true }],
  ])('are not read %s', async (_, wishes) => {
    const { bridge } = show(wishes);
    await fireEvent.keyDown(grid(), { key: 'Home' });
    expect(bridge.askedFor('QueryJournal')).toEqual([]);
  });
});
