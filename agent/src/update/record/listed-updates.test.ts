// SPDX-License-Identifier: Apache-2.0
/** What a page of the history has of each update. */
import { expect, it } from 'vitest';
import type { MachineRun, Update } from '../../interface/agent.generated.ts';
import { listed } from './listed-updates.ts';
import { madeUpUpdate } from './made-up-update.fixture.ts';

const run: MachineRun = {
  ...{ name: 'one', pid: 7, newPid: 8, way: 'cpr', session: 'machine:one', stage: 'resumed', detail: '' },
  ...{ brownoutUs: null, suspendedAtUs: 1, blackoutUs: 1, parts: [], waits: [], failedAt: null },
  // As many, and as long, as the record keeps of one machine.
  stateBytes: null,
  instructions: Array.from({ length: 200 }, (_, at) => ({
    ...{ what: `mounted /${'x'.repeat(300)}`, times: 1, doneAtUs: at },
  })),
};

const withMachines = (id: string, number: number): Update => ({
  ...madeUpUpdate,
  id,
  machines: Array.from({ length: number }, () => run),
});

it('has the instructions of the newest updates, and of older ones only all or none', () => {
  const page = listed([withMachines('c', 60), withMachines('b', 50), withMachines('a', 1)]);
  expect(page.map(({ id }) => id)).toEqual(['c', 'b', 'a']);
  const kept = page.map(({ machines }) => new Set(machines.map(({ instructions }) => instructions?.length)));
  expect(kept).toEqual([new Set([200]), new Set([undefined]), new Set([undefined])]);
});

it('changes nothing of a page that is short', () => {
  const updates = [withMachines('b', 50), madeUpUpdate];
  expect(listed(updates)).toEqual(updates);
});

it('leaves room in the longest answer that a client takes, whatever the records hold', () => {
  const page = listed(Array.from({ length: 100 }, (_, at) => withMachines(`u${at}`, 16)));
  expect(Buffer.byteLength(JSON.stringify(page))).toBeLessThan(16_777_216 / 2);
});
