// SPDX-License-Identifier: Apache-2.0
/** Which sessions the journal knows of: also by the names that older agents gave their acts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Journal, JournalReader } from '../../journal/index.ts';
import { readInventory } from './inventory.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-inventory-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function openJournal(): Journal {
  let clock = 0;
  return new Journal(join(directory, 'journal.db'), {
    bootId: 'boot',
    phase: () => 'normal',
    update: () => null,
    nowUs: () => ++clock,
    steadyUs: () => ++clock,
    notWritten: () => {},
  }).open();
}

describe('the inventory', () => {
  it.each(['session.take-back', 'session.adopt', 'session.retrieve'])(
    'knows a session that came with %s',
    async (name) => {
      const journal = openJournal();
      const descriptors = [{ token: '0x0', label: 'disk', size: 7, digest: null }];
      await journal.act(
        name,
        { session: 's' },
        () => {},
        () => ({ parameters: { descriptors } }),
      );
      const { sessions } = await readInventory(new JournalReader(journal));
      expect(sessions).toEqual([{ name: 's', descriptors }]);
      journal.close();
    },
  );

  it('knows what is preserved of several, and nothing that was refused', async () => {
    const journal = openJournal();
    const [one, other, last] = ['0x0', '0x1', '0x3'].map((token) => ({
      ...{ token, label: `of ${token}`, size: 7, digest: null },
    }));
    const refused = { token: '0x2', label: 'socket', size: 0 };
    const preserved = (parameters: Record<string, unknown>, failure: Error | null): void =>
      journal.settle(
        journal.announce('session.preserve', { session: 's' }),
        { session: 's', parameters },
        failure,
        null,
      );
    await journal.act('session.create', { session: 's' }, () => {});
    preserved({ descriptors: [one, other], refused: [refused] }, new Error('one was refused'));
    preserved(refused, new Error('it was refused'));
    preserved({ ...last }, null);
    const { sessions } = await readInventory(new JournalReader(journal));
    expect(sessions).toEqual([{ name: 's', descriptors: [one, other, last] }]);
    journal.close();
  });
});
