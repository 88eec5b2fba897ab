// SPDX-License-Identifier: Apache-2.0
/** Steps that are done and undone, with the journal they are written in: what is written when, and what a failure leaves. */
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Unended } from '../../host/unended.ts';
import { fillable } from '../../journal/full-disk.fixture.ts';
import { Journal, JournalReader } from '../../journal/index.ts';
import type { UpdateFacts } from '../record/facts.ts';
import { isLeaving, type LeavingId, stepsOf } from '../record/steps.ts';
import { StepList, type Work } from './step-list.ts';

const machine = { session: 'machine:vm', descriptors: 1, bytes: 1, machine: true, handedOut: false };
const facts: UpdateFacts = {
  ...{ release: 'b', kernel: '/boot/b', initrd: null, ifMachineFails: 'stop' },
  sessions: [{ ...machine, attended: false }],
  machines: [{ name: 'vm', session: 'machine:vm' }],
};
const leaving = stepsOf(facts).filter(isLeaving);
const ids = ['load-kernel', 'preserve:machine:vm', 'create-index', 'ready-machines', 'announce-kexec'];
const kexecFailed = new Error('the kernel refused');

let journal: Journal;
let reader: JournalReader;
/** What was done, in order: steps, `undo` of steps, and entries of the journal. */
let happened: string[];
/** What could not be written when it happened. */
let told: string[];

beforeEach(() => {
  happened = [];
  told = [];
  let clock = 0;
  journal = new Journal(':memory:', {
    ...{ bootId: 'this', phase: () => 'normal', update: () => null },
    ...{ nowUs: () => (clock += 1), steadyUs: () => (clock += 1) },
    notWritten: (what, why) => void told.push(`${what}; ${why}`),
  }).open();
  reader = new JournalReader(journal);
  journal.events.on('entry', ({ kind, name, parameters }) => {
    happened.push(`${kind} ${name === 'update.undo' ? 'undo ' : ''}${parameters.step}`);
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  journal.close();
});

const unended = new Unended(() => {});

/** @param works what is done otherwise than well, by step */
function listOf(
  works: Partial<Record<LeavingId, Partial<Work>>> = {},
  signal = new AbortController().signal,
  runOn = async (): Promise<void> => void happened.push('machines run on'),
) {
  return new StepList({
    ...{ journal, unended, peer: { uid: 0 }, update: 'u', signal, nowUs: () => 1 },
    work: ({ id, shown }) => ({
      run: async () => {
        happened.push(shown.id);
        await works[id]?.run?.();
      },
      undo: async () => {
        happened.push(`undo ${shown.id}`);
        await works[id]?.undo?.();
      },
    }),
    begin: () => {},
    undoing: () => {},
    runOn,
  });
}

const unwritten = 'the journal cannot be written: database or disk is full';

/** Results of the journal, oldest first. */
const results = (name: string) =>
  reader
    .query({ name }, 100, true)
    .entries.filter(({ kind }) => kind === 'result')
    .map(({ parameters, ok, message }) => [parameters['step'], ok, message]);

const fail = (message: string) => async (): Promise<void> => {
  throw new Error(message);
};

describe('steps of an update that fails', () => {
  it('are undone in reverse order, the one that failed first', async () => {
    const list = listOf({ announce: { run: fail('nobody may be told') } });
    await expect(list.run(leaving)).rejects.toThrow('nobody may be told');
    expect(results('update.step').at(-1)).toEqual(['announce-kexec', false, 'nobody may be told']);
    expect(await list.undo()).toEqual([]);
    const undone = happened.filter((each) => each.startsWith('undo '));
    expect(undone).toEqual([...ids].reverse().map((id) => `undo ${id}`));
    expect(results('update.undo').map(([step, ok]) => [step, ok])).toEqual(
      [...ids].reverse().map((id) => [id, true]),
    );
    // What is undone is done with.
    expect(await list.undo()).toEqual([]);
    expect(results('update.undo')).toHaveLength(ids.length);
  });

  it('are undone where the undo of another fails, which is named', async () => {
    const list = listOf({
      announce: { run: fail('no') },
      ready: { undo: fail('a monitor does not answer') },
      load: { undo: fail('it stays loaded') },
    });
    await expect(list.run(leaving)).rejects.toThrow('no');
    expect(await list.undo()).toEqual([
      'undoing ready-machines: a monitor does not answer',
      'undoing load-kernel: it stays loaded',
    ]);
    expect(results('update.undo')).toEqual([
      ['announce-kexec', true, ''],
      ['ready-machines', false, 'a monitor does not answer'],
      ['create-index', true, ''],
      ['preserve:machine:vm', true, ''],
      ['load-kernel', false, 'it stays loaded'],
    ]);
  });

  it('end between two steps when it is aborted', async () => {
    const abort = new AbortController();
    const list = listOf(
      { index: { run: async () => abort.abort(new Error('changed my mind')) } },
      abort.signal,
    );
    await expect(list.run(leaving)).rejects.toThrow('changed my mind');
    await list.undo();
    expect(happened).not.toContain('ready-machines');
    expect(happened.filter((each) => each.startsWith('undo '))).toEqual([
      'undo create-index',
      'undo preserve:machine:vm',
      'undo load-kernel',
    ]);
  });
});

describe('a step that could not be undone', () => {
  it('is kept, and tried again until it is', async () => {
    let works = false;
    const stubborn = async (): Promise<void> => {
      if (!works) throw new Error('it stays loaded');
    };
    const list = listOf({ announce: { run: fail('no') }, load: { undo: stubborn } });
    await expect(list.run(leaving)).rejects.toThrow('no');
    await list.undo();
    expect(list.left).toEqual(['load-kernel']);
    happened = [];
    expect(await list.undoLeft()).toEqual(['undoing load-kernel: it stays loaded']);
    works = true;
    expect(await list.undoLeft()).toEqual([]);
    expect(list.left).toEqual([]);
    expect(await list.undoLeft()).toEqual([]);
    expect(happened.filter((each) => each === 'undo load-kernel')).toHaveLength(2);
    expect(results('update.undo').slice(-3)).toEqual([
      ['load-kernel', false, 'it stays loaded'],
      ['load-kernel', false, 'it stays loaded'],
      ['load-kernel', true, ''],
    ]);
  });
});

describe('what only gives back memory', () => {
  it('is undone once machines run on, and is not waited for without end', async () => {
    let isClosing = Promise.withResolvers<void>();
    const list = listOf({ announce: { run: fail('no') }, index: { undo: () => isClosing.promise } });
    await expect(list.run(leaving)).rejects.toThrow('no');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const late = 'undoing create-index: it was not done in time, and goes on';
    happened = [];
    const undoing = list.undo();
    while (!happened.includes('undo create-index')) await setImmediate();
    expect(happened.filter((each) => /^undo |^machines/.test(each))).toEqual([
      ...['undo announce-kexec', 'undo ready-machines', 'machines run on', 'undo create-index'],
    ]);
    vi.advanceTimersByTime(10_000);
    // Nothing else waits for it.
    expect(await undoing).toEqual([late]);
    expect(happened).toContain('undo load-kernel');
    expect(list.left).toEqual(['create-index']);
    const again = list.undoLeft();
    await setImmediate();
    vi.advanceTimersByTime(10_000);
    expect(await again).toEqual([late]);
    // It is still the first attempt that goes on.
    expect(happened.filter((each) => each === 'undo create-index')).toHaveLength(1);
    isClosing.reject(new Error('not now'));
    await setImmediate();
    isClosing = Promise.withResolvers();
    const last = list.undoLeft();
    isClosing.resolve();
    expect(await last).toEqual([]);
    expect(happened.filter((each) => each === 'undo create-index')).toHaveLength(2);
    expect(list.left).toEqual([]);
  });

  it('has its turn however long another takes', async () => {
    const isClosing = Promise.withResolvers<void>();
    const list = listOf({ announce: { run: fail('no') }, index: { undo: () => isClosing.promise } });
    await expect(list.run(leaving)).rejects.toThrow('no');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const undoing = list.undo();
    while (!happened.includes('undo create-index')) await setImmediate();
    vi.advanceTimersByTime(1300);
    await undoing;
    // It began when nothing was left of the time for all.
    expect(happened).toContain('undo load-kernel');
    expect(list.left).toEqual(['create-index']);
    isClosing.resolve();
  });

  it('is undone though machines cannot be let run on, which is said', async () => {
    const list = listOf({ announce: { run: fail('no') } }, undefined, fail('they are still stopped'));
    await expect(list.run(leaving)).rejects.toThrow('no');
    expect(await list.undo()).toEqual(['they are still stopped']);
    expect(happened).toContain('undo create-index');
  });
});

describe('steps during which machines are stopped', () => {
  const from = (start: string): string[] => happened.slice(happened.indexOf(start));

  it('are announced before the first and written once machines run on, in the order in which they were done', async () => {
    const list = listOf({ kexec: { run: fail(kexecFailed.message) } });
    await expect(list.run(leaving)).rejects.toThrow(kexecFailed.message);
    await list.undo();
    expect(from('act suspend-machines').slice(0, 13)).toEqual([
      ...[
        'act suspend-machines',
        'act kexec',
        'suspend-machines',
        'kexec',
        'undo kexec',
        'undo suspend-machines',
      ],
      ...['result suspend-machines', 'result kexec'],
      ...['act undo kexec', 'result undo kexec', 'act undo suspend-machines', 'result undo suspend-machines'],
      // Done first, then written.
      'undo announce-kexec',
    ]);
    expect(results('update.step').slice(-2)).toEqual([
      ['suspend-machines', true, ''],
      ['kexec', false, kexecFailed.message],
    ]);
  });

  it('are written as not done where the update ended before them', async () => {
    const list = listOf({ suspend: { run: fail('vm cannot be saved'), undo: fail('vm does not run on') } });
    await expect(list.run(leaving)).rejects.toThrow('vm cannot be saved');
    expect(await list.undo()).toEqual(['undoing suspend-machines: vm does not run on']);
    expect(happened).not.toContain('kexec');
    expect(from('undo suspend-machines').slice(0, 5)).toEqual([
      ...['undo suspend-machines', 'result suspend-machines', 'act undo suspend-machines'],
      ...['result undo suspend-machines', 'result kexec'],
    ]);
    expect(results('update.step').slice(-2)).toEqual([
      ['suspend-machines', false, 'vm cannot be saved'],
      ['kexec', false, 'not done: the update ended before it'],
    ]);
  });
});

describe('steps on a full disk', () => {
  it('are all undone, and that is written once there is room', async () => {
    const disk = { full: false };
    fillable(disk);
    const list = listOf({
      kexec: {
        run: async () => {
          disk.full = true;
          throw kexecFailed;
        },
      },
      ready: { undo: fail('a monitor does not answer') },
    });
    await expect(list.run(leaving)).rejects.toThrow(kexecFailed.message);
    expect(await list.undo()).toEqual(['undoing ready-machines: a monitor does not answer']);
    const backwards = ['kexec', 'suspend-machines', ...[...ids].reverse()];
    expect(happened.filter((each) => each.startsWith('undo '))).toEqual(backwards.map((id) => `undo ${id}`));
    expect(results('update.undo')).toEqual([]);
    expect(told[0]).toMatch(/^update.step .*; database or disk is full$/);
    disk.full = false;
    journal.writeAll();
    expect(results('update.undo').map(([step]) => step)).toEqual(backwards);
    expect(await reader.verify()).toMatchObject({ firstBad: null });
  });

  it('are all undone where the result of one could not be written, and no further one is begun', async () => {
    const disk = { full: false };
    fillable(disk);
    const list = listOf({
      announce: {
        run: async () => {
          disk.full = true;
        },
      },
    });
    await expect(list.run(leaving)).rejects.toThrow(unwritten);
    expect(happened).not.toContain('suspend-machines');
    expect(await list.undo()).toEqual([]);
    expect(happened.filter((each) => each.startsWith('undo '))).toHaveLength(ids.length);
  });

  it('are not begun', async () => {
    fillable({ full: true });
    const list = listOf();
    await expect(list.run(leaving)).rejects.toThrow(unwritten);
    expect(await list.undo()).toEqual([]);
    expect(happened).toEqual(['machines run on']);
  });
});
