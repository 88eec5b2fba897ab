// SPDX-License-Identifier: Apache-2.0
/** Reading what an index says, part by part, and what a writer is held to. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import type { VmmFacts } from '../../adoption/vmm-facts.ts';
import { newIndexRecord, readIndexRecord } from './index-record.ts';
import { madeUpUpdate } from './made-up-update.fixture.ts';

const machine = (name: string, more: Partial<Record<keyof SavedMachine, unknown>> = {}): SavedMachine =>
  ({
    name,
    session: `machine:${name}`.slice(0, 63),
    definition: null,
    way: 'cpr',
    priority: 0,
    pid: 100,
    command: { program: '/usr/bin/qemu', words: [], directory: '/', uid: 0, gid: 0 },
    monitor: '/run/x',
    ran: true,
    capabilities: {},
    state: { token: '0xffffffffffff8000', cprBytes: 1, mainBytes: 5 },
    pieces: [],
    memory: [],
    facts: null,
    brownoutUs: 1,
    suspendedAtUs: 2,
    savedAtUs: 3,
    ...more,
  }) as SavedMachine;

const facts: VmmFacts = {
  ...{ groups: [36], umask: 0o027, nice: 0, variables: ['LANG=C'], writesRoot: true, obstacle: null },
  limits: [{ number: 7, soft: '1024', hard: 'unlimited' }],
  nodes: [{ path: '/dev/kvm', mode: 0o660, uid: 0, gid: 104 }],
  directories: [{ path: '/run/vms', mode: 0o2770, uid: 64, gid: 65 }],
  filledBytes: 64,
  resources: { slice: 'a-b.slice', memoryMax: '1073741824', cpuQuota: { timeUs: 50_000, periodUs: 100_000 } },
  rights: { bounding: '1ff', inheritable: '3', ambient: '1', noNewPrivileges: true },
  profile: null,
  unkept: null,
  modules: ['kvm_intel'],
  needs: [
    { kind: 'mounted', what: '/srv/data' },
    { kind: 'interface', what: 'br0' },
  ],
};

const content = (machines: readonly SavedMachine[]) => ({
  update: madeUpUpdate,
  sessions: [{ name: 'machine:a', descriptors: 1 }],
  jumpedAtUs: 4,
  machines: [...machines],
  clock: null,
  facts: null,
});
const stored = (machines: readonly unknown[], more: object = {}): unknown => ({
  format: 'luo-index-1',
  ...content([]),
  machines,
  ...more,
});

/** Records that do not fit, each with what is said of it. */
const bad: readonly [string, unknown, object][] = [
  [
    'a name of 257 characters',
    machine('b'.repeat(257)),
    { name: null, problem: expect.stringContaining('name') },
  ],
  [
    'a command of 4,097 words',
    machine('b', { command: { ...machine('b').command, words: Array(4097).fill('') } }),
    {
      name: 'b',
      session: 'machine:b',
      stateToken: '0xffffffffffff8000',
      problem: expect.stringContaining('words'),
    },
  ],
  [
    'a way of another version',
    machine('b', { way: 'vfio' }),
    { name: 'b', problem: expect.stringContaining('way') },
  ],
  [
    'facts of another version',
    machine('b', { facts: { ...facts, umask: 'usual' } }),
    { name: 'b', problem: expect.stringContaining('facts.umask') },
  ],
  [
    'a limit above what it can be raised to',
    machine('b', { facts: { ...facts, limits: [{ number: 7, soft: 'unlimited', hard: '9' }] } }),
    { name: 'b', problem: expect.stringContaining('a limit is above') },
  ],
  [
    'a need that the carrier would refuse',
    machine('b', { facts: { ...facts, needs: [{ kind: 'interface', what: 'longer-than-15-b' }] } }),
    { name: 'b', problem: expect.stringContaining('expected a path, or the name') },
  ],
  [
    'facts that have no room in the index',
    machine('b', { facts: { ...facts, variables: Array(5).fill(`A=${'x'.repeat(8000)}`) } }),
    { name: 'b', problem: expect.stringContaining('at most 32768 bytes') },
  ],
  ['no session', machine('b', { session: '' }), { name: 'b', session: null }],
  ['nothing at all', null, { name: null, session: null, stateToken: null, stored: null }],
];

describe('an index with a record that does not fit', () => {
  it.each(bad)('reads the others: %s', (_what, record, told) => {
    const read = readIndexRecord(stored([machine('a'), record, machine('c')]));
    expect(read.machines.map(({ name }) => name)).toEqual(['a', 'c']);
    expect(read.unread).toMatchObject([told]);
    expect(read.unread[0]?.stored).toEqual(record);
  });

  it.each([
    ['update', 'no update', { update: null }],
    [
      'sessions',
      [{ name: 'machine:a', descriptors: 1 }, { name: 'machine:b' }],
      { sessions: [{ name: 'machine:a' }] },
    ],
    ['jumpedAtUs', 'yesterday', { jumpedAtUs: null }],
    ['clock', { rate: 0 }, { clock: null }],
    ['facts', { release: 7 }, { facts: null }],
  ])('reads the machines, whatever is in %s', (part, value, rest) => {
    const read = readIndexRecord(stored([machine('a')], { [part]: value }));
    expect(read).toMatchObject(rest);
    expect(read.machines.map(({ name }) => name)).toEqual(['a']);
  });

  it('never throws, and loses no machine, whatever is stored', () => {
    const anything = fc.jsonValue() as fc.Arbitrary<unknown>;
    fc.assert(
      fc.property(fc.array(anything), anything, (machines, other) => {
        const { machines: read, unread } = readIndexRecord(stored(machines, { update: other, clock: other }));
        expect(read.length + unread.length).toBe(machines.length);
        if (!Array.isArray((other as { machines?: unknown } | null)?.machines ?? [])) return;
        readIndexRecord(other);
      }),
    );
  });
});

it('a machine that an earlier agent saved has no facts and the lowest priority', () => {
  const { facts: _, priority: __, ...earlier } = machine('a');
  expect(readIndexRecord(stored([earlier])).machines).toEqual([machine('a')]);
});

it('an index whose machines are no list is not read as one without machines', () => {
  expect(() => readIndexRecord(stored([], { machines: { a: machine('a') } }))).toThrow('not a list');
});

describe('a writer', () => {
  it('writes what a reader reads back', () => {
    const written = newIndexRecord(content([machine('a', { facts }), machine('b', { state: null })]));
    expect(readIndexRecord(JSON.parse(JSON.stringify(written)))).toEqual({
      ...content(written.machines),
      unread: [],
    });
  });

  it.each(bad)('does not write what no reader takes: %s', (_what, record) => {
    expect(() => newIndexRecord(content([record as SavedMachine]))).toThrow(/^the index record does not fit/);
  });
});
