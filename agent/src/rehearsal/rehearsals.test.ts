// SPDX-License-Identifier: Apache-2.0
/** What is kept of rehearsals: the last result, for as long as the machine has the same VMM. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { expect, it, onTestFinished } from 'vitest';
import { adopted } from '../adoption/suspension.fixture.ts';
import { Journal } from '../journal/index.ts';
import { agentItself } from '../liveupdate/live-update-context.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';
import { sampleMachine } from '../luocon/machine.fixture.ts';
import { Rehearsals } from './rehearsals.ts';

it('a result does not count for another VMM of the same machine, nor for another process of that number', async () => {
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
  const one = adopted('one', '/run/one');
  const rehearsals = new Rehearsals({
    native,
    journal,
    // There is no such process: that is told as what would keep it from being started.
    paths: { proc: join(directory, 'proc'), sys: '/sys' },
    sessions: {} as unknown as SessionStore,
    adoptions: { list: () => [one], stopped: { mark: () => {}, letRunOn: async () => [] } },
    blockFiles: { of: () => [] },
    units: { run: async () => {}, end: async () => {}, endAll: async () => {} },
    socketDirectory: join(directory, 'sockets'),
    look: async () => sampleMachine,
    take: (_pid, fd) => native.descriptors.duplicate(fd),
    needNormal: () => {},
    nowUs: () => 7,
    log: () => {},
  });
  const { pid, startTime } = one.machine;
  expect(rehearsals.of({ pid, startTime })).toBeNull();
  const result = await rehearsals.rehearse(pid, agentItself);
  expect(result).toMatchObject({ atUs: 7, problem: expect.stringContaining('it cannot be started: ') });
  expect(rehearsals.of({ pid, startTime })).toEqual(result);
  expect(rehearsals.of({ pid, startTime: '2' })).toBeNull();
  expect(rehearsals.of({ pid: pid + 1, startTime })).toBeNull();
});
