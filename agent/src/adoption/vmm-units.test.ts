// SPDX-License-Identifier: Apache-2.0
/** Which directories must be there before a VMM can be started again. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { missingDirectories } from './vmm-units.ts';

let run: string;

beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'luo-run-'));
  mkdirSync(join(run, 'there'));
});
afterEach(() => rmSync(run, { recursive: true }));

it('directories that a command line counts on are those of its sockets, pid files and logs that are missing', () => {
  const words = [
    ...['-qmp', 'unix:/run/vms/one/qmp.sock,server=on,wait=off'],
    ...['-pidfile', '/run/vms/one/pid', '-chardev', 'socket,id=s,path=/run/serial/one,server=on'],
    ...[
      '-monitor',
      'unix:/run/there/hmp',
      '-drive',
      'file=/srv/run/disk.img',
      '-append',
      'root=/run/../etc/x',
    ],
    ...['-vnc', 'unix:/run/vnc'],
  ];
  expect(missingDirectories('one', words, run)).toEqual(['vms/one', 'serial']);
});

it.each([
  ['web', ['luo-console/machines/web']],
  ['web:4711', ['luo-console/machines/web']],
  ['web@1000', []],
  ['web@1000:4711', []],
  ['other', []],
])('a directory of the agent’s own is made for its machine, and for no other: %s', (name, made) => {
  for (const path of ['/run/luo-console/machines/web/qmp', '/run/./luo-agent/machines/db/qmp'])
    expect(missingDirectories(name, ['-qmp', `unix:${path},server=on`], run)).toEqual(
      path.includes('web') ? made : [],
    );
});
