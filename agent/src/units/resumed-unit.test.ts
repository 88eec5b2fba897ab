// SPDX-License-Identifier: Apache-2.0
/** The unit in which the carrier brings a machine back, and how long is waited for it. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Variant } from './bus-message.ts';
import { type Fate, fakeManager } from './fake-manager.fixture.ts';
import { type ResumedUnit, resumeInUnit, unitSettled } from './resumed-unit.ts';

const unit: ResumedUnit = {
  name: 'one',
  program: '/usr/bin/qemu-system-x86_64',
  words: ['-name', 'one', '-serial', 'file:/var/log/luo-console/machines/one/a'],
  user: { uid: 107, gid: 108 },
  directory: '/srv/one',
  resources: null,
  openFiles: [
    { path: '/proc/7/fd/12', name: 'program' },
    { path: '/proc/7/fd/13', name: 'file0' },
  ],
  carrier: '/usr/lib/luo-console-agent/carrier',
  carrierDirectory: '/run/luo-console/handing-over/0123',
};

afterEach(() => void vi.useRealTimers());

describe('the unit of a machine that the carrier brings back', () => {
  it('has the carrier as the program that starts it, and the VMM as its main process', async () => {
    const { path, calls } = await fakeManager({ result: 'done' });
    await resumeInUnit(unit, path);
    expect(calls.map(({ member }) => member)).toEqual(['StartTransientUnit']);
    expect(calls[0]?.body.slice(0, 2)).toEqual(['luo-machine-one.service', 'fail']);
    const pairs = calls[0]?.body[2] as [string, Variant][];
    expect(pairs.map(([name, { signature, value }]) => [name, signature, value])).toEqual([
      ['Description', 's', 'Virtual machine one'],
      ['Type', 's', 'forking'],
      [
        'ExecStartEx',
        'a(sasas)',
        [
          [
            '/usr/lib/luo-console-agent/carrier',
            ['/usr/lib/luo-console-agent/carrier', 'resume', '/run/luo-console/handing-over/0123'],
            ['privileged', 'no-env-expand'],
          ],
        ],
      ],
      ['Slice', 's', 'machine.slice'],
      ['CollectMode', 's', 'inactive-or-failed'],
      ['DefaultDependencies', 'b', false],
      ['Conflicts', 'as', ['shutdown.target']],
      ['Before', 'as', ['shutdown.target']],
      ['WorkingDirectory', 's', '-/srv/one'],
      ['User', 's', '107'],
      ['Group', 's', '108'],
      ['TimeoutStopUSec', 't', 10_000_000n],
      ['RuntimeDirectory', 'as', ['luo-console/machines/one']],
      ['RuntimeDirectoryMode', 'u', 0o750],
      ['LogsDirectory', 'as', ['luo-console/machines/one']],
      ['LogsDirectoryMode', 'u', 0o750],
      [
        'OpenFile',
        'a(sst)',
        [
          ['/proc/7/fd/12', 'program', 0n],
          ['/proc/7/fd/13', 'file0', 0n],
        ],
      ],
      ['PIDFile', 's', '/run/luo-console/handing-over/0123/0.pid'],
      ['TimeoutStartUSec', 't', 0xffff_ffff_ffff_ffffn],
    ]);
  });

  it.each([
    [true, 'luo-machine-one.second.service'],
    [false, 'luo-machine-one.service'],
  ])('beside another one of the machine leaves that its directory: second %s', async (second, name) => {
    const { path, calls } = await fakeManager({ result: 'done' });
    await resumeInUnit({ ...unit, beside: { second } }, path);
    expect(calls[0]?.body[0]).toBe(name);
    const pairs = calls[0]?.body[2] as [string, Variant][];
    const names = pairs.map(([property]) => property);
    expect(names.filter((property) => property.startsWith('RuntimeDirectory'))).toEqual([]);
    expect(names).toContain('LogsDirectory');
  });

  it('is waited for as long as it takes: the carrier has limits of its own', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const asked = Promise.withResolvers<void>();
    const decided = Promise.withResolvers<Fate>();
    const { path } = await fakeManager(() => {
      asked.resolve();
      return decided.promise;
    });
    const resumed = resumeInUnit(unit, path);
    await asked.promise;
    vi.advanceTimersByTime(3_600_000);
    decided.resolve({ result: 'done' });
    await expect(resumed).resolves.toBeUndefined();
  });

  it.each<[Fate, string]>([
    [{ result: 'failed' }, 'luo-machine-one.service did not start (failed)'],
    [{ error: 'org.freedesktop.systemd1.UnitExists', words: 'already loaded' }, 'already loaded'],
    ['hang up', 'the service manager ended the connection'],
  ])('is not there if the service manager says so, or nothing any more: %j', async (fate, words) => {
    const { path } = await fakeManager(fate);
    await expect(resumeInUnit(unit, path)).rejects.toThrow(words);
  });
});

describe('a unit that an agent before this one has asked for', () => {
  const job = { path: '/org/freedesktop/systemd1/job/7', unit: 'luo-machine-one.service' };
  const other = { path: '/org/freedesktop/systemd1/job/8', unit: 'luo-machine-two.service' };

  it('is waited for until its job ends', async () => {
    const ends = Promise.withResolvers<string>();
    const { path, calls } = await fakeManager({ jobs: [other, job], ends: ends.promise });
    let settled = false;
    const waiting = unitSettled('one', path).then(() => {
      settled = true;
    });
    // Another question and its answer, on the way behind the first.
    await unitSettled('three', path);
    expect([settled, calls.map(({ member }) => member)]).toEqual([false, ['ListJobs', 'ListJobs']]);
    ends.resolve(job.path);
    await waiting;
  });

  it('is not waited for if nothing is done for it', async () => {
    const { path } = await fakeManager({ jobs: [other], ends: new Promise(() => {}) });
    await expect(unitSettled('one', path)).resolves.toBeUndefined();
  });

  it.each<[Fate, string]>([
    [{ error: 'org.freedesktop.DBus.Error.AccessDenied', words: 'no' }, 'no'],
    ['hang up', 'the service manager ended the connection'],
  ])('may be waited for in vain: %j', async (fate, words) => {
    const { path } = await fakeManager(fate);
    await expect(unitSettled('one', path)).rejects.toThrow(words);
  });
});
