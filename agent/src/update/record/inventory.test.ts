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

describe('the inventory', () => {
  it.each(['session.take-back', 'session.adopt', 'session.retrieve'])(
    'knows a session that came with %s',
    async (name) => {
      let clock = 0;
      const journal = new Journal(join(directory, 'journal.db'), {
        bootId: 'boot',
        phase: () => 'normal',
        update: () => null,
        nowUs: () => ++clock,
        steadyUs: () => ++clock,
        notWritten: () => {},
      }).open();
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
});
