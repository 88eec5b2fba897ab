// SPDX-License-Identifier: Apache-2.0
/** What counts of rehearsals: until something else is started, and as long as nothing better is known. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adopted } from '../adoption/suspension.fixture.ts';
import type { Rehearsal } from '../interface/agent.generated.ts';
import type { MachineHead } from '../liveupdate/machine-head.ts';
import { LastResults } from './last-results.ts';

let directory: string;
let program: string;
let now = adopted('one', '/run/one', 'named_memory');
let results: LastResults;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-results-'));
  // As process 1 sees it.
  const root = join(directory, '1/root/usr/bin');
  mkdirSync(root, { recursive: true });
  program = join(root, 'qemu');
  writeFileSync(program, 'a program');
  now = adopted('one', '/run/one', 'named_memory');
  results = new LastResults({ paths: { proc: directory }, adoptions: { list: () => [now] } });
});
afterEach(() => rmSync(directory, { recursive: true }));

const passed: Rehearsal = {
  ...{ atUs: 1, problem: null, startUs: 600_000, loadUs: 40_000, stoppedUs: 60_000, left: [], changed: [] },
};
const started: Rehearsal = { ...passed, loadUs: null, left: ['loading its state: why'] };
const nothing: Rehearsal = { ...started, startUs: null, stoppedUs: null, left: ['why'] };
const notStarted: Rehearsal = { ...nothing, problem: 'no such disk', left: [] };
const notLoaded: Rehearsal = { ...passed, problem: 'no such device', loadUs: null };

const note = async (rehearsal: Rehearsal): Promise<void> =>
  results.note(now, rehearsal, await results.basisOf(now.machine));
const known = (devices: readonly string[] | null = null): Promise<Rehearsal | null> =>
  results.of(now.machine, devices);
const become = (changes: Partial<MachineHead>): void => {
  now = { ...now, machine: { ...now.machine, ...changes } };
};

describe('a result', () => {
  it.each<[string, Rehearsal, Rehearsal, 'the first' | 'the second']>([
    ['nothing, after a pass', passed, nothing, 'the first'],
    ['nothing, after a failure', notStarted, nothing, 'the first'],
    ['nothing, after nothing', nothing, { ...nothing, left: ['another reason'] }, 'the second'],
    ['a start alone, after a whole pass', passed, started, 'the first'],
    ['a start alone, after a state that was not loaded', notLoaded, started, 'the first'],
    ['a start alone, after one that failed', notStarted, started, 'the second'],
    ['a start alone, after another', started, { ...started, atUs: 2 }, 'the second'],
    ['a failure, after a pass', passed, notStarted, 'the second'],
    ['a pass, after a failure', notLoaded, passed, 'the second'],
  ])('is kept if it says most: %s', async (_what, first, second, kept) => {
    await note(first);
    await note(second);
    expect(await known()).toEqual(kept === 'the first' ? first : second);
  });

  it('counts only as long as the machine would be started as it was', async () => {
    await note(passed);
    expect(await known()).toEqual(passed);
    // Of another size: its times may be the same within one tick of the file system.
    writeFileSync(program, 'another program');
    become({ definitionText: 'memory = 2 GiB', command: { ...now.machine.command, words: ['-m', '2G'] } });
    expect((await known())?.changed).toEqual(['its program', 'its command line', 'its definition']);
    rmSync(program);
    expect((await known())?.changed).toContain('its program');
    await note(passed);
    expect((await known())?.changed).toEqual([]);
  });

  it('counts only as long as it has the devices that it had when it was first looked at', async () => {
    await note(passed);
    expect((await known(['net0 child<e1000>']))?.changed).toEqual([]);
    expect((await known(['net0 child<virtio-net-pci>']))?.changed).toEqual(['its devices']);
    // Nothing else was heard since.
    expect((await known(null))?.changed).toEqual(['its devices']);
    expect((await known(['net0 child<e1000>']))?.changed).toEqual([]);
  });

  it('that does not count any more is replaced by one that says less, unless it is a failure', async () => {
    await note(passed);
    writeFileSync(program, 'another program');
    await note(started);
    expect(await known()).toEqual(started);
    await note(notLoaded);
    writeFileSync(program, 'the next program');
    await note(started);
    expect(await known()).toEqual({ ...notLoaded, changed: ['its program'] });
  });

  it('that its state is not loaded does not count for a machine that goes another way by now', async () => {
    await note(notLoaded);
    become({ way: 'cpr' });
    await note(started);
    expect(await known()).toEqual(started);
  });
});
