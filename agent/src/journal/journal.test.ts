// SPDX-License-Identifier: Apache-2.0
/** The journal: what is written is kept in order, cannot be changed unseen, and can be read back. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  Journal,
  type JournalContext,
  JournalReader,
  JournalUnreadable,
  JournalUnwritable,
} from './index.ts';

let directory: string;
let path: string;
let clock = 0;
/** What could not be written. */
let told: string[];

const context: JournalContext = {
  bootId: 'boot',
  phase: () => 'normal',
  update: () => null,
  nowUs: () => ++clock,
  steadyUs: () => ++clock,
  notWritten: (what, why) => void told.push(`${what}; ${why}`),
};

beforeEach(() => {
  told = [];
  directory = mkdtempSync(join(tmpdir(), 'luo-journal-'));
  path = join(directory, 'journal.db');
});

afterEach(() => {
  vi.useRealTimers();
  rmSync(directory, { recursive: true, force: true });
});

function open() {
  const journal = new Journal(path, context).open();
  return { journal, reader: new JournalReader(journal) };
}

describe('the journal', () => {
  it('has the announcement on disk before the act and the result after it', async () => {
    const { journal, reader } = open();
    const other = new Database(path, { readonly: true });
    const count = (): unknown => other.prepare('SELECT count(*) FROM entries').pluck().get();
    await journal.act('session.create', { session: 's', parameters: { a: 1 } }, () => {
      expect(count()).toBe(1);
    });
    expect(count()).toBe(2);
    other.close();
    const { entries } = reader.query({}, 10, true);
    expect(entries).toMatchObject([
      { kind: 'act', name: 'session.create', ok: null, parameters: { a: 1 } },
      { kind: 'result', answers: 1, ok: true, session: 's' },
    ]);
    expect(entries[1]?.durationUs).toBeGreaterThan(0);
    journal.close();
  });

  it('records the errno of what failed and passes the failure on', async () => {
    const { journal, reader } = open();
    const failure = Object.assign(new Error('no'), { code: 'ENOSPC' });
    const act = journal.act('x', {}, () => Promise.reject(failure));
    await expect(act).rejects.toBe(failure);
    expect(reader.newest({ failedOnly: true })).toMatchObject({ ok: false, errno: 'ENOSPC', message: 'no' });
    journal.close();
  });

  it('has several entries on disk at once, or none of them', async () => {
    const { journal, reader } = open();
    const heard: number[] = [];
    const other = new Database(path, { readonly: true });
    const count = (): unknown => other.prepare('SELECT count(*) FROM entries').pluck().get();
    journal.events.on('entry', ({ sequence }) => heard.push(sequence));
    journal.together(() => {
      for (const name of ['a', 'b', 'c']) journal.announce(name, {});
      expect([count(), heard]).toEqual([0, []]);
    });
    expect([count(), heard]).toEqual([3, [1, 2, 3]]);
    const nothing = (): void => {
      journal.announce('d', {});
      throw new Error('not this time');
    };
    expect(() => journal.together(nothing)).toThrow('not this time');
    journal.announce('e', {});
    expect(reader.query({}, 10, true).entries.map(({ sequence, name }) => [sequence, name])).toEqual([
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
      [4, 'e'],
    ]);
    expect(await reader.verify()).toMatchObject({ firstBad: null });
    other.close();
    journal.close();
  });

  it('refuses to change or delete an entry', () => {
    const { journal } = open();
    journal.note('n');
    const { database } = journal;
    expect(() => database?.exec("UPDATE entries SET message = 'x'")).toThrow('append-only');
    expect(() => database?.exec('DELETE FROM entries')).toThrow('append-only');
    journal.close();
  });

  it.each([
    ['a changed message', "UPDATE entries SET message = 'nothing happened' WHERE sequence = 3", 3],
    ['changed parameters', `UPDATE entries SET parameters = '{"a":2}' WHERE sequence = 2`, 2],
    ['an entry taken out', 'DELETE FROM entries WHERE sequence = 2', 3],
    ['the first entry taken out', 'DELETE FROM entries WHERE sequence = 1', 2],
    ['parameters that are no JSON', "UPDATE entries SET parameters = '{' WHERE sequence = 4", 4],
  ])('notices %s behind its back', async (_what, tampering, firstBad) => {
    const { journal, reader } = open();
    for (const message of ['one', 'two', 'three', 'four', 'five'])
      journal.note('n', { message, parameters: { a: 1 } });
    expect(await reader.verify()).toEqual({ entries: 5, firstBad: null });
    journal.database?.exec('DROP TRIGGER entries_never_change; DROP TRIGGER entries_never_go');
    journal.database?.exec(tampering);
    expect((await reader.verify()).firstBad).toBe(firstBad);
    journal.close();
  });

  it('goes on with the chain when it is opened again', async () => {
    const first = open();
    first.journal.note('before');
    first.journal.close();
    const second = open();
    second.journal.note('after');
    expect(await second.reader.verify()).toEqual({ entries: 2, firstBad: null });
    second.journal.close();
  });

  it('leaves a damaged file alone, refuses acts, and says why', async () => {
    writeFileSync(path, 'this is not a database, but it may be evidence');
    const { journal, reader } = open();
    expect(journal.unwritable).toContain('journal.db');
    let done = false;
    const act = journal.act('x', {}, () => {
      done = true;
    });
    await expect(act).rejects.toThrow(JournalUnwritable);
    expect(done).toBe(false);
    expect(reader.query({}, 10, true).entries).toEqual([]);
  });

  it('that is held writes only what must be on disk at once, and the rest in order when it goes on', async () => {
    const { journal, reader } = open();
    journal.hold();
    journal.remember('first');
    await journal.giveBack('second', {}, () => 'done');
    expect(journal.lastSequence).toBe(0);
    expect(told).toEqual([]);
    journal.goOn();
    expect(journal.lastSequence).toBe(3);
    journal.hold();
    journal.remember('third');
    journal.note('fourth');
    // What has happened before it comes first.
    expect(reader.query({}, 10, true).entries.map(({ name }) => name)).toEqual([
      ...['first', 'second', 'second', 'third', 'fourth'],
    ]);
    expect(await reader.verify()).toEqual({ entries: 5, firstBad: null });
    journal.close();
  });

  it('before it is opened touches nothing, refuses acts, and keeps what was done, which it writes first', async () => {
    const journal = new Journal(path, context);
    const reader = new JournalReader(journal);
    await expect(journal.act('x', {}, () => {})).rejects.toThrow('it is not open yet');
    expect(await journal.giveBack('session.close', {}, () => 'closed')).toBe('closed');
    journal.remember('seen');
    expect(existsSync(path)).toBe(false);
    // It has not failed: nobody is told.
    expect(told).toEqual([]);
    expect(journal.open().unwritable).toBeNull();
    expect(reader.newest({})).toBeNull();
    journal.catchUp();
    expect(reader.query({}, 10, true).entries.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      ...['act session.close', 'result session.close', 'note seen'],
    ]);
    expect(await reader.verify()).toEqual({ entries: 3, firstBad: null });
    journal.close();
  });

  it('that cannot be opened tells of what was done before', async () => {
    writeFileSync(path, 'this is not a database, but it may be evidence');
    const journal = new Journal(path, context);
    await journal.giveBack('session.close', { session: 's' }, () => {});
    journal.open();
    expect(told).toEqual([
      expect.stringMatching(/^session.close of s begun; .*journal.db: /),
      expect.stringMatching(/^session.close of s done; .*journal.db: /),
    ]);
    expect(journal.notWritten).toBe(1);
  });

  it('in which an entry is found damaged is written no more, and says why; a wrong question is no damage', () => {
    const { journal, reader } = open();
    journal.note('whole');
    journal.note('cut', { parameters: { text: 'x' } });
    journal.database?.exec(
      "DROP TRIGGER entries_never_change; UPDATE entries SET parameters = '{' WHERE name = 'cut'",
    );
    expect(() => reader.query({}, Number.NaN, true)).toThrow();
    expect(reader.newestReadable({ name: 'whole' })).toMatchObject({ name: 'whole' });
    expect(journal.unwritable).toBeNull();
    expect(reader.newestReadable({ name: 'cut' })).toBeNull();
    expect(() => reader.newest({ name: 'cut' })).toThrow(JournalUnreadable);
    expect(journal.unwritable).toMatch(/journal\.db is damaged, or cannot be read: /);
    expect(() => journal.note('more')).toThrow(JournalUnwritable);
    journal.close();
  });

  it('refuses a file that a newer agent wrote', () => {
    const database = new Database(path);
    database.pragma('user_version = 99');
    database.close();
    expect(open().journal.unwritable).toContain('newer agent');
  });

  it('does not act while the disk is full, and goes on once there is room', async () => {
    const { journal, reader } = open();
    const filler = { parameters: { text: 'x'.repeat(20_000) } };
    journal.note('first', filler);
    const { database } = journal;
    const pages = Number(database?.pragma('page_count', { simple: true }));
    database?.pragma(`max_page_count = ${pages}`);
    let done = 0;
    const act = () => journal.act('x', filler, () => ++done);
    await expect(act()).rejects.toMatchObject({ name: 'JournalUnwritable', code: 'ENOSPC' });
    expect(done).toBe(0);
    expect(journal.unwritable).toBeNull();
    database?.pragma('max_page_count = 1000000');
    expect(await act()).toBe(1);
    expect(await reader.verify()).toEqual({ entries: 3, firstBad: null });
    journal.close();
  });

  describe('on a full disk', () => {
    const long = { parameters: { text: 'x'.repeat(20_000) } };
    const fill = ({ database }: Journal): void => {
      database?.pragma(`max_page_count = ${Number(database.pragma('page_count', { simple: true }))}`);
    };
    const makeRoom = ({ database }: Journal): void => void database?.pragma('max_page_count = 1000000');
    const names = (reader: JournalReader): string[] =>
      reader.query({}, 99, true).entries.map(({ kind, name }) => `${kind} ${name}`);

    it('keeps the result of an act, which is returned all the same, and writes it before anything else', async () => {
      const { journal, reader } = open();
      const run = (): string => {
        fill(journal);
        return 'done';
      };
      expect(await journal.act('x', { session: 's' }, run, () => long)).toBe('done');
      expect(journal.notWritten).toBe(1);
      expect(journal.whyNotWritten).toBe('database or disk is full');
      expect(told).toEqual(['x of s done; database or disk is full']);
      // Until it is written, nothing that adds risk is done.
      let done = false;
      const risky = (): Promise<void> =>
        journal.act('y', {}, () => {
          done = true;
        });
      await expect(risky()).rejects.toMatchObject({ code: 'ENOSPC' });
      expect(done).toBe(false);
      expect(names(reader)).toEqual(['act x']);
      expect(() => journal.writeAll()).toThrow(JournalUnwritable);
      makeRoom(journal);
      await risky();
      expect(names(reader)).toEqual(['act x', 'result x', 'act y', 'result y']);
      expect(await reader.verify()).toEqual({ entries: 4, firstBad: null });
      journal.close();
    });

    it('does what gives back, and writes it later, in order and with its times', async () => {
      const { journal, reader } = open();
      journal.note('first', long);
      fill(journal);
      const inner = (): Promise<void> => journal.giveBack('inner', long, () => {});
      await journal.giveBack('outer', {}, inner);
      const failure = Object.assign(new Error('busy'), { code: 'EBUSY' });
      await expect(journal.giveBack('z', {}, () => Promise.reject(failure))).rejects.toBe(failure);
      expect(names(reader)).toEqual(['note first']);
      expect(told.map((line) => line.split('; ')[0])).toEqual([
        'outer begun',
        'inner begun',
        'inner done',
        'outer done',
        'z begun',
        'z failed, busy',
      ]);
      makeRoom(journal);
      journal.writeAll();
      expect(names(reader)).toEqual([
        'note first',
        'act outer',
        'act inner',
        'result inner',
        'result outer',
        'act z',
        'result z',
      ]);
      const { entries } = reader.query({}, 9, true);
      expect(entries.map(({ answers }) => answers)).toEqual([null, null, null, 3, 2, null, 6]);
      expect(entries.map(({ atUs }) => atUs)).toEqual(entries.map(({ atUs }) => atUs).sort((a, b) => a - b));
      expect(entries.at(-1)).toMatchObject({ ok: false, errno: 'EBUSY' });
      expect(await reader.verify()).toEqual({ entries: 7, firstBad: null });
      journal.close();
    });

    it('tries again by itself', async () => {
      vi.useFakeTimers();
      const { journal, reader } = open();
      journal.note('first', long);
      fill(journal);
      journal.remember('later', long);
      await vi.advanceTimersByTimeAsync(6000);
      expect(names(reader)).toEqual(['note first']);
      makeRoom(journal);
      await vi.advanceTimersByTimeAsync(6000);
      expect(names(reader)).toEqual(['note first', 'note later']);
      journal.close();
    });

    it('keeps so much, and says how much it could not keep', async () => {
      const { journal, reader } = open();
      journal.note('first', long);
      fill(journal);
      const given = journal.begin('given up', long);
      for (let number = 0; number < 1000; number += 1) journal.remember('n', long);
      journal.settle(given, {}, null, null);
      makeRoom(journal);
      journal.writeAll();
      expect(reader.newest({ name: 'journal.gap' })?.message).toBe('2 entries could not be kept');
      expect(reader.query({ name: 'n' }, 2000, true).entries).toHaveLength(999);
      // The result of what is not there is not written either: nobody could tell what it answers.
      expect(reader.newest({ name: 'given up' })).toBeNull();
      expect(await reader.verify()).toEqual({ entries: 1001, firstBad: null });
      journal.close();
    });

    it('keeps several at once that say what has happened, and refuses several that announce', () => {
      const { journal, reader } = open();
      journal.note('first', long);
      const announced = journal.together(() => ['a', 'b'].map((name) => journal.announce(name, {})));
      fill(journal);
      expect(() => journal.together(() => journal.announce('c', long))).toThrow(JournalUnwritable);
      journal.together(() => {
        for (const each of announced) journal.settle(each, long, null, null);
      });
      makeRoom(journal);
      journal.writeAll();
      expect(names(reader)).toEqual(['note first', 'act a', 'act b', 'result a', 'result b']);
      journal.close();
    });
  });

  it.each([0, 1])('is migrated from schema version %i without losing an entry', async (version) => {
    const first = open();
    if (version > 0) first.journal.note('old');
    first.journal.close();
    const database = new Database(path);
    if (version === 0) database.exec('DROP TABLE entries; PRAGMA user_version = 0');
    expect(database.pragma('user_version', { simple: true })).toBe(version);
    database.close();
    const { journal, reader } = open();
    expect(journal.unwritable).toBeNull();
    journal.note('new');
    expect(reader.query({}, 9, true).entries.map(({ name }) => name)).toEqual(
      version === 0 ? ['new'] : ['old', 'new'],
    );
    expect(journal.database?.pragma('user_version', { simple: true })).toBe(1);
    expect(await reader.verify()).toMatchObject({ firstBad: null });
    journal.close();
  });

  it('accepts no act any more once one entry could not be written', async () => {
    const { journal } = open();
    journal.database?.exec('DROP TABLE entries');
    expect(() => journal.note('n')).toThrow(JournalUnwritable);
    await expect(journal.act('x', {}, () => {})).rejects.toThrow('no such table');
    // What gives back is done all the same, and the kernel log has it.
    expect(await journal.giveBack('y', {}, () => 'done')).toBe('done');
    expect(told).toEqual([expect.stringMatching(/^y done; .*no such table: entries$/)]);
    journal.close();
  });
});

describe('reading the journal', () => {
  it('pages, filters and searches without mistaking text for a pattern', () => {
    const { journal, reader } = open();
    for (let number = 1; number <= 9; number += 1)
      journal.note(number % 2 ? 'odd' : 'even', { message: `100% of ${number}` });
    const page = reader.query({ name: 'odd' }, 2, false);
    expect(page.entries.map(({ sequence }) => sequence)).toEqual([9, 7]);
    expect(page.more).toBe(true);
    expect(
      reader.query({ name: 'odd', before: 7 }, 5, false).entries.map(({ sequence }) => sequence),
    ).toEqual([5, 3, 1]);
    expect(reader.query({ text: '0% of 3' }, 9, true).entries).toHaveLength(1);
    expect(reader.query({ text: '0_ of' }, 9, true).entries).toHaveLength(0);
    journal.close();
  });

  it('follows: what there is, then each new entry, until told to stop', async () => {
    const { journal, reader } = open();
    journal.note('first');
    const stop = new AbortController();
    const seen: string[] = [];
    for await (const entries of reader.follow(0, stop.signal)) {
      seen.push(...entries.map(({ name }) => name));
      if (seen.length === 1) queueMicrotask(() => journal.note('second'));
      else stop.abort();
    }
    expect(seen).toEqual(['first', 'second']);
    journal.close();
  });
});
