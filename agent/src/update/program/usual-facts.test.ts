// SPDX-License-Identifier: Apache-2.0
/** With what a VMM is started again whose facts are unknown. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { VmmFacts } from '../../adoption/vmm-facts.ts';
import { usualFacts } from './usual-facts.ts';

let run: string;

beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'luo-run-'));
  mkdirSync(join(run, 'there'));
});
afterEach(() => rmSync(run, { recursive: true }));

const factsOf = (words: string[]): VmmFacts =>
  usualFacts({ command: { program: '/usr/bin/qemu', words, directory: '/', uid: 64, gid: 65 } }, run);

it('a VMM whose facts are unknown has those of a unit that the agent makes', () => {
  const facts = factsOf(['-qmp', 'unix:/run/there/qmp']);
  expect(facts).toEqual({
    groups: [],
    umask: 0o027,
    nice: 0,
    limits: [
      { number: 4, soft: '0', hard: '0' },
      { number: 7, soft: '1024', hard: '524288' },
      { number: 8, soft: 'unlimited', hard: 'unlimited' },
    ],
    variables: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin'],
    nodes: [],
    needs: [],
    modules: [],
    rights: null,
    resources: null,
    profile: null,
    unkept: null,
    filledBytes: null,
    directories: [],
    writesRoot: false,
    obstacle: null,
  });
  expect(v.parse(VmmFacts, facts)).toEqual(facts);
});

it('directories that its words count on are those of its sockets, pid files and logs that are missing', () => {
  const words = [
    ...['-qmp', 'unix:/run/vms/one/qmp.sock,server=on,wait=off'],
    ...['-pidfile', '/run/vms/one/pid', '-chardev', 'socket,id=s,path=/run/serial/one,server=on'],
    ...['-monitor', 'unix:/run/there/hmp', '-drive', 'file=/srv/run/disk.img'],
    ...['-append', 'root=/run/../etc/x', '-vnc', 'unix:/run/vnc', '-D', '/run/vms/log'],
  ];
  // Never the user's, who could name one from which the host reads its settings.
  const roots = { mode: 0o755, uid: 0, gid: 0 };
  expect(factsOf(words).directories).toEqual([
    { path: '/run/vms', ...roots },
    { path: '/run/vms/one', ...roots },
    { path: '/run/serial', ...roots },
  ]);
});
