// SPDX-License-Identifier: Apache-2.0
/** How large portions of a journal are, and that other work has its turn between them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Journal, JournalReader } from './index.ts';
import { Portion } from './portion.ts';

it('a portion is halved after one that took long, and doubled after a short one, within its bounds', () => {
  const portion = new Portion(40);
  const sizes = [1, 1, 5, 11, 100, 100, 100, 100, 100, 100, 1].map((ms) => {
    portion.took(ms);
    return portion.entries;
  });
  expect(sizes).toEqual([32, 40, 40, 20, 10, 5, 2, 1, 1, 1, 2]);
});

describe('a journal of long entries', () => {
  const entries = 2000;
  let directory: string;
  let journal: Journal;
  let reader: JournalReader;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'luo-journal-'));
    let clock = 0;
    const tick = (): number => ++clock;
    const context = {
      bootId: 'boot',
      phase: () => 'normal',
      update: () => null,
      notWritten: () => {},
    } as const;
    journal = new Journal(join(directory, 'journal.db'), { ...context, nowUs: tick, steadyUs: tick }).open();
    journal.database?.exec('PRAGMA synchronous = OFF');
    for (let number = 0; number < entries; number += 1)
      journal.note('long', { message: `${number} ${'x'.repeat(10_000)}` });
    reader = new JournalReader(journal);
  });
  afterAll(() => {
    journal.close();
    rmSync(directory, { recursive: true });
  });

  /** How many turns the event loop has while something is done. */
  async function turnsOf(work: () => Promise<void>): Promise<number> {
    let turns = 0;
    let going = true;
    const turn = (): void => {
      turns += 1;
      if (going) setImmediate(turn);
    };
    setImmediate(turn);
    await work();
    going = false;
    return turns;
  }

  it.each<[string, () => Promise<void>]>([
    [
      'searched',
      async () => {
        const { signal } = new AbortController();
        expect(await reader.search({ text: 'not there' }, 10, false, signal)).toEqual({
          entries: [],
          more: false,
        });
      },
    ],
    [
      'walked through',
      async () => {
        let seen = 0;
        for await (const batch of reader.walk()) seen += batch.length;
        expect(seen).toBe(entries);
      },
    ],
    [
      'followed from its beginning',
      async () => {
        const stop = new AbortController();
        let seen = 0;
        for await (const batch of reader.follow(0, stop.signal)) {
          seen += batch.length;
          if (seen === entries) stop.abort();
        }
      },
    ],
    ['checked', async () => void expect(await reader.verify()).toEqual({ entries, firstBad: null })],
  ])('is %s with turns for others, in portions that begin small', async (_how, work) => {
    // From 16 entries on each portion is at most twice the one before: 2000 take seven.
    expect(await turnsOf(work)).toBeGreaterThanOrEqual(6);
  });
});
