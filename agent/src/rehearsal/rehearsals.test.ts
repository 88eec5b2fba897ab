// SPDX-License-Identifier: Apache-2.0
/** What is kept of rehearsals: the last result, for as long as the machine has the same VMM. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { expect, it, onTestFinished } from 'vitest';
import type { Adopted } from '../adoption/adoption-context.ts';
import { adopted } from '../adoption/suspension.fixture.ts';
import { Unended } from '../host/unended.ts';
import { Journal } from '../journal/index.ts';
import { agentItself } from '../liveupdate/live-update-context.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';
import { sampleMachine } from '../luocon/machine.fixture.ts';
import { Rehearsals } from './rehearsals.ts';

/** Rehearsals of one machine, as it is when it is asked for. */
function rehearsalsOf(find: () => Adopted, letRunOn: () => Promise<string[]> = async () => []): Rehearsals {
  const directory = mkdtempSync(join(tmpdir(), 'luo-rehearsals-'));
  const journal = new Journal(join(directory, 'journal.db'), {
    ...{ bootId: 'this', phase: () => 'normal', update: () => null, nowUs: () => 1, steadyUs: () => 1 },
    notWritten: () => {},
  });
  journal.open();
  onTestFinished(() => {
    journal.close();
    rmSync(directory, { recursive: true });
  });
  return new Rehearsals({
    native,
    journal,
    // There is no such process: nothing can be found out.
    paths: { proc: join(directory, 'proc'), sys: '/sys' },
    sessions: {} as unknown as SessionStore,
    adoptions: { list: () => [find()], stopped: { mark: () => {}, letRunOn } },
    blockFiles: { of: () => [], driversOf: () => [] },
    units: { run: async () => {}, end: async () => {}, endAll: async () => {} },
    socketDirectory: join(directory, 'sockets'),
    unended: new Unended(() => {}),
    look: async () => sampleMachine,
    take: (_pid, fd) => native.descriptors.duplicate(fd),
    needNormal: () => {},
    nowUs: () => 7,
    log: () => {},
  });
}

it('a result does not count for another VMM of the same machine, nor for another process of that number', async () => {
  const one = adopted('one', '/run/one');
  const rehearsals = rehearsalsOf(() => one);
  const { pid, startTime } = one.machine;
  expect(await rehearsals.of({ pid, startTime })).toBeNull();
  const result = await rehearsals.rehearse(pid, agentItself);
  expect(result).toMatchObject({ atUs: 7, problem: null, startUs: null, left: [expect.any(String)] });
  expect(await rehearsals.of({ pid, startTime })).toEqual(result);
  expect(await rehearsals.of({ pid, startTime: '2' })).toBeNull();
  expect(await rehearsals.of({ pid: pid + 1, startTime })).toBeNull();
});

it('a machine that an update has left stopped, or with other settings, is not rehearsed before it is as it was', async () => {
  const settings = { capabilities: {}, parameters: {} };
  const left = { suspended: true, before: { ran: true, saving: true, settings } };
  const one = adopted('one', '/run/one');
  let now: Adopted = { ...one, machine: { ...one.machine, ...left } };
  let told = 0;
  let helps = false;
  const rehearsals = rehearsalsOf(
    () => now,
    async () => {
      told += 1;
      if (helps) now = one;
      return [];
    },
  );
  const refused = {
    refusal: 'MachineUnusable',
    parameters: { reason: expect.stringContaining('not yet as it was') },
  };
  await expect(rehearsals.rehearse(one.machine.pid, agentItself)).rejects.toMatchObject(refused);
  expect(await rehearsals.of(one.machine)).toBeNull();
  helps = true;
  await expect(rehearsals.rehearse(one.machine.pid, agentItself)).resolves.toMatchObject({ atUs: 7 });
  expect(told).toBe(2);
});
