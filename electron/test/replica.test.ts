// SPDX-License-Identifier: Apache-2.0
/** The copy of a host's journal: kept up to date, read back, and its file. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Entry } from '@luo-console/agent/interface';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { questionKey } from '../src/replica/answers.ts';
import { ChainBroken, type JournalCopy, type JournalQuery } from '../src/replica/journal-copy.ts';
import { type JournalSource, syncJournal } from '../src/replica/journal-sync.ts';
import { openReplica as openReplicaFile, Replica } from '../src/replica/replica.ts';
import { sampleEntry, sampleStatus } from './samples.ts';
import { temporaryFolder } from './temporary-folder.ts';

function openReplica(path = join(temporaryFolder(), 'replica.db')): Replica {
  const replica = new Replica(path);
  onTestFinished(() => replica.close());
  return replica;
}

const entries = (from: number, to: number, salt = '') =>
  Array.from({ length: to - from + 1 }, (_, index) => sampleEntry(from + index, salt));

describe('answers', () => {
  test('are the last ones to exactly that question, also in the next run', () => {
    const path = join(temporaryFolder(), 'replica.db');
    const replica = new Replica(path);
    replica.keep('h', 'GetSession', { name: 'a' }, { reply: { n: 1 }, atUs: 10 });
    replica.keep('h', 'GetSession', { name: 'a' }, { reply: { n: 2 }, atUs: 20 });
    replica.keep('other', 'GetSession', { name: 'a' }, { reply: { n: 3 }, atUs: 30 });
    replica.keep('h', 'GetStatus', {}, { reply: { status: sampleStatus() }, atUs: 40 });
    replica.close();
    const again = openReplica(path);
    expect(again.answer('h', 'GetSession', { name: 'a' })).toEqual({ reply: { n: 2 }, atUs: 20 });
    expect(again.answer('h', 'GetSession', { name: 'b' })).toBeNull();
    expect(again.lastStatus('h')).toEqual({ status: sampleStatus(), atUs: 40 });
    again.forget('h');
    expect(again.answer('h', 'GetSession', { name: 'a' })).toBeNull();
    expect(again.answer('other', 'GetSession', { name: 'a' })?.reply).toEqual({ n: 3 });
  });

  test('are taken out of other answers where they are in them', () => {
    const replica = openReplica();
    const ask = (method: string, parameters: Record<string, unknown>) =>
      replica.answer('h', method, parameters);
    const list = (names: string[]) => ({ sessions: names.map((name) => ({ name })) });
    replica.keep(
      'h',
      'GetSession',
      { name: 'a' },
      { reply: { session: { name: 'a', old: true } }, atUs: 10 },
    );
    replica.keep('h', 'ListSessions', {}, { reply: list(['a', 'b']), atUs: 20 });
    expect(ask('GetSession', { name: 'a' })).toEqual({ reply: { session: { name: 'a' } }, atUs: 20 });
    expect(ask('GetSession', { name: 'b' })).toEqual({ reply: { session: { name: 'b' } }, atUs: 20 });
    expect(ask('GetSession', { name: 'c' })).toBeNull();
    replica.keep(
      'h',
      'GetSession',
      { name: 'a' },
      { reply: { session: { name: 'a', fresh: true } }, atUs: 30 },
    );
    expect(ask('GetSession', { name: 'a' })?.atUs).toBe(30);

    const updates = ['u3', 'u2', 'u1'].map((id) => ({ id }));
    replica.keep('h', 'ListUpdates', { limit: 100 }, { reply: { updates, more: false }, atUs: 40 });
    expect(ask('ListUpdates', { limit: 2 })).toEqual({
      reply: { updates: updates.slice(0, 2), more: true },
      atUs: 40,
    });
    expect(ask('ListUpdates', {})).toEqual({ reply: { updates, more: false }, atUs: 40 });
    expect(ask('ListUpdates', { before: 'u3' })).toBeNull();
    expect(ask('GetUpdate', { id: 'u1' })).toEqual({ reply: { update: { id: 'u1' } }, atUs: 40 });
    expect(ask('GetUpdate', { id: 'u0' })).toBeNull();
  });

  test('do not depend on how a question is written', () => {
    expect(questionKey({ b: 1, a: { d: [1, 2], c: null } })).toBe(
      questionKey({ a: { d: [1, 2] }, b: 1, e: undefined }),
    );
    expect(questionKey({ a: [1, 2] })).not.toBe(questionKey({ a: [2, 1] }));
  });
});

describe('the file', () => {
  test('of a newer console is left alone', () => {
    const path = join(temporaryFolder(), 'replica.db');
    const database = new Database(path);
    database.pragma('user_version = 99');
    database.close();
    expect(() => openReplicaFile(path, () => undefined)).toThrow(/schema version 99/);
  });

  test('of a console that did not know machines keeps its journal and forgets its answers', () => {
    const path = join(temporaryFolder(), 'replica.db');
    const before = new Replica(path);
    before.keep('h', 'ListUpdates', {}, { reply: { updates: [], more: false }, atUs: 1 });
    before.journal('h').append(entries(1, 2), 8);
    before.close();
    const database = new Database(path);
    database.pragma('user_version = 1');
    database.close();
    const now = openReplica(path);
    expect(now.answer('h', 'ListUpdates', {})).toBeNull();
    expect([...now.journal('h').walk()]).toEqual(entries(1, 2));
    now.keep('h', 'ListUpdates', {}, { reply: { updates: [], more: false }, atUs: 2 });
    expect(openReplica(path).answer('h', 'ListUpdates', {})?.atUs).toBe(2);
  });

  test('that is no database is kept aside and begun anew', () => {
    const folder = temporaryFolder();
    const path = join(folder, 'replica.db');
    const text = 'not a database, and long enough to be read as the header of one'.repeat(20);
    writeFileSync(path, text);
    const said: string[] = [];
    const replica = openReplicaFile(path, (message) => said.push(message));
    onTestFinished(() => replica.close());
    const aside = readdirSync(folder).find((name) => name.includes('damaged')) ?? '';
    expect(readFileSync(join(folder, aside), 'utf8')).toBe(text);
    expect(said).toEqual([expect.stringContaining(aside)]);
    replica.keep('h', 'ListSessions', {}, { reply: { sessions: [] }, atUs: 1 });
    expect(replica.answer('h', 'ListSessions', {})?.atUs).toBe(1);
  });
});

describe('the copy of a journal', () => {
  function copied(list: Entry[]): JournalCopy {
    const copy = openReplica().journal('h');
    copy.append(list, 5);
    return copy;
  }

  test('is empty at first', () => {
    const copy = openReplica().journal('h');
    expect([copy.end(), copy.currentAtUs(), copy.query({}), copy.epochs()]).toEqual([null, null, null, 0]);
  });

  test('takes only what follows, all or nothing', () => {
    const copy = copied(entries(1, 3));
    expect(() => copy.append([sampleEntry(5)], 6)).toThrow(ChainBroken);
    expect(() => copy.append([sampleEntry(4), sampleEntry(5, 'other')], 6)).toThrow(/entry 5: builds on/);
    expect(copy.end()).toEqual({ sequence: 3, hash: sampleEntry(3).hash });
    copy.append(entries(4, 5), 7);
    expect([...copy.walk()]).toEqual(entries(1, 5));
    expect(copy.currentAtUs()).toBe(7);
  });

  const list = [
    sampleEntry(1, '', { name: 'create_session', session: 'vm', parameters: { name: '100%_vm' } }),
    sampleEntry(2, '', { name: 'create_session', session: 'db', ok: false, errno: 'EEXIST' }),
    sampleEntry(3, '', { name: 'run', update: 'u1', message: 'Announced KEXEC' }),
    sampleEntry(4, '', { name: 'run', update: 'u1', ok: true }),
  ];
  const cases: [JournalQuery, number[], boolean][] = [
    [{}, [4, 3, 2, 1], false],
    [{ ascending: true, limit: 2 }, [1, 2], true],
    [{ limit: 2, before: 3 }, [2, 1], false],
    [{ after: 1, before: 4 }, [3, 2], false],
    [{ name: 'run', limit: null }, [4, 3], false],
    [{ session: 'vm' }, [1], false],
    [{ update: 'u1' }, [4, 3], false],
    [{ failedOnly: true }, [2], false],
    [{ failedOnly: false }, [4, 3, 2, 1], false],
    [{ fromUs: 2000, toUs: 3000 }, [3, 2], false],
    [{ text: 'kexec' }, [3], false],
    [{ text: '100%_' }, [1], false],
    [{ text: '%' }, [1], false],
  ];
  test.each(cases)('answers %j', (filter, sequences, more) => {
    const page = copied(list).query(filter);
    expect(page?.entries.map(({ sequence }) => sequence)).toEqual(sequences);
    expect(page?.more).toBe(more);
  });

  test('answers for the agent, with its age', () => {
    const replica = openReplica();
    expect(replica.answer('h', 'QueryJournal', {})).toBeNull();
    replica.journal('h').append(entries(1, 2), 8);
    expect(replica.answer('h', 'QueryJournal', { limit: 1 })).toEqual({
      reply: { entries: [sampleEntry(2)], more: true },
      atUs: 8,
    });
  });
});

describe('keeping the copy up to date', () => {
  /** A journal that streams what it has and ends. */
  function sourceOf(journal: Entry[], asked: unknown[] = []): JournalSource {
    return {
      async call(method, parameters) {
        asked.push([method, parameters]);
        const { after, before } = parameters as { after: number; before: number };
        return {
          entries: journal.filter(({ sequence }) => sequence > after && sequence < before),
          more: false,
        };
      },
      async *stream(method, parameters) {
        asked.push([method, parameters]);
        const after = parameters['after'] as number;
        for (const entry of journal.filter(({ sequence }) => sequence > after)) yield { entries: [entry] };
      },
    };
  }

  async function sync(copy: JournalCopy, source: JournalSource): Promise<string[]> {
    const said: string[] = [];
    await syncJournal({
      source,
      copy,
      nowUs: () => 100,
      signal: new AbortController().signal,
      onReplaced: (message) => said.push(message),
    });
    return said;
  }

  test('asks only for what is new', async () => {
    const copy = openReplica().journal('h');
    expect(await sync(copy, sourceOf(entries(1, 3)))).toEqual([]);
    const asked: unknown[] = [];
    expect(await sync(copy, sourceOf(entries(1, 5), asked))).toEqual([]);
    expect(asked).toEqual([
      ['QueryJournal', { after: 2, before: 4, limit: 1, ascending: true }],
      ['FollowJournal', { after: 3 }],
    ]);
    expect([...copy.walk()]).toEqual(entries(1, 5));
    expect(copy.epochs()).toBe(1);
  });

  test('notes that nothing is new', async () => {
    const copy = openReplica().journal('h');
    copy.append(entries(1, 2), 5);
    await sync(copy, sourceOf(entries(1, 2)));
    expect(copy.currentAtUs()).toBe(100);
  });

  test.each([
    ['rewritten', entries(1, 4, 'other')],
    ['begun anew and shorter', entries(1, 1, 'other')],
    ['emptied', []],
  ])('keeps the old one when it was %s', async (_, journal) => {
    const replica = openReplica();
    const copy = replica.journal('h');
    copy.append(entries(1, 3), 5);
    const said = await sync(copy, sourceOf(journal));
    expect(said).toEqual([expect.stringMatching(/not the one copied before.*is kept/)]);
    expect([...copy.walk()]).toEqual(journal);
    expect(copy.epochs()).toBe(2);
  });

  test('starts over when the journal is replaced while it is followed', async () => {
    const copy = openReplica().journal('h');
    copy.append(entries(1, 2), 5);
    const honest = sourceOf(entries(1, 4, 'other'));
    const source: JournalSource = { ...honest, call: sourceOf(entries(1, 2)).call };
    expect(await sync(copy, source)).toHaveLength(1);
    expect([...copy.walk()]).toEqual(entries(1, 4, 'other'));
  });

  test('does not go round for ever on a journal that does not fit together', async () => {
    const copy = openReplica().journal('h');
    await expect(sync(copy, sourceOf([sampleEntry(1), sampleEntry(2, 'other')]))).rejects.toThrow(
      ChainBroken,
    );
    await expect(sync(copy, sourceOf([sampleEntry(1), sampleEntry(2, 'other')]))).rejects.toThrow(
      ChainBroken,
    );
  });
});
