// SPDX-License-Identifier: Apache-2.0
/** The unit of a VMM that runs already, and what the service manager is asked for it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attachToUnit } from './attached-unit.ts';
import type { Variant } from './bus-message.ts';
import { type Fate, fakeManager } from './fake-manager.fixture.ts';

const unit = {
  name: 'one',
  program: '/usr/bin/qemu-system-x86_64',
  words: ['-name', 'one', '-serial', 'file:/var/log/luo-console/machines/one/a'],
  user: { uid: 107, gid: 108 },
  directory: '/srv/one',
  resources: null,
};
const pid = 4711;
let proc: string;

/** In which control group the VMM is. */
const isIn = (group: string): void => writeFileSync(join(proc, String(pid), 'cgroup'), `0::${group}\n`);

beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'luo-attach-'));
  mkdirSync(join(proc, String(pid)));
  isIn('/init.scope');
});
afterEach(() => rmSync(proc, { recursive: true }));

const attach = (path: string): Promise<void> =>
  attachToUnit(
    unit,
    {
      ...{ pid, pidFile: '/run/luo-carrier/3.pid', output: '/run/luo-carrier/3.out' },
      ...{ carrier: '/usr/lib/carrier', proc },
    },
    path,
  );

describe('a VMM that runs already', () => {
  it('becomes the main process of a unit like the others, and is moved there', async () => {
    const { path, calls } = await fakeManager({ result: 'done' });
    await attach(path);
    expect(calls.map(({ member }) => member)).toEqual(['StartTransientUnit', 'AttachProcessesToUnit']);
    const [started, attached] = calls;
    expect(started?.body.slice(0, 2)).toEqual(['luo-machine-one.service', 'fail']);
    const pairs = started?.body[2] as [string, Variant][];
    expect(pairs.map(([name, { signature, value }]) => [name, signature, value])).toEqual([
      ['Description', 's', 'Virtual machine one'],
      ['Type', 's', 'forking'],
      [
        'ExecStartEx',
        'a(sasas)',
        [
          [
            '/usr/lib/carrier',
            ['/usr/lib/carrier', 'relay', '/run/luo-carrier/3.out'],
            ['no-env-expand', 'ignore-failure'],
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
      ['LimitMEMLOCK', 't', 0xffff_ffff_ffff_ffffn],
      ['LimitCORE', 't', 0n],
      ['UMask', 'u', 0o027],
      ['RuntimeDirectory', 'as', ['luo-console/machines/one']],
      ['RuntimeDirectoryMode', 'u', 0o750],
      ['LogsDirectory', 'as', ['luo-console/machines/one']],
      ['LogsDirectoryMode', 'u', 0o750],
      ['PIDFile', 's', '/run/luo-carrier/3.pid'],
      ['Delegate', 'b', true],
    ]);
    expect(attached).toMatchObject({ signature: 'ssau', body: ['luo-machine-one.service', '', [pid]] });
  });

  it.each(['', '/sub'])('and is in its unit is left alone: %j', async (below) => {
    const { path, calls } = await fakeManager({ result: 'done' });
    isIn(`/machine.slice/luo-machine-one.service${below}`);
    await attach(path);
    expect(calls).toEqual([]);
  });

  it('and whose unit an agent before this one has made is moved there', async () => {
    const exists = { error: 'org.freedesktop.systemd1.UnitExists', words: 'already loaded' };
    const { path, calls } = await fakeManager(({ member }) =>
      member === 'StartTransientUnit' ? exists : { result: 'done' },
    );
    isIn('/machine.slice/luo-machine-one.service.d');
    await attach(path);
    expect(calls.map(({ member }) => member)).toEqual(['StartTransientUnit', 'AttachProcessesToUnit']);
  });

  it.each<[Fate, string]>([
    [{ result: 'failed' }, 'did not start (failed)'],
    [{ error: 'org.freedesktop.systemd1.BadUnitSetting', words: 'Bad PIDFile' }, 'Bad PIDFile'],
  ])('is not moved to a unit that does not start: %j', async (fate, words) => {
    const { path, calls } = await fakeManager(fate);
    await expect(attach(path)).rejects.toThrow(words);
    expect(calls.map(({ member }) => member)).toEqual(['StartTransientUnit']);
  });

  it('that has ended is in no control group', async () => {
    rmSync(join(proc, String(pid)), { recursive: true });
    const { path, calls } = await fakeManager({ result: 'done' });
    await expect(attach(path)).rejects.toThrow('ENOENT');
    expect(calls).toEqual([]);
  });
});
