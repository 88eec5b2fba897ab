// SPDX-License-Identifier: Apache-2.0
/** What is remembered of VMMs that cannot be asked any more. */
import { expect, it } from 'vitest';
import { BlockFiles } from './block-files.ts';

const made = () => {
  const logged: unknown[] = [];
  return { logged, files: new BlockFiles((_level, _message, fields) => void logged.push(fields)) };
};

it('the files of a VMM are those that it has said last, also once it answers no more', () => {
  const { files, logged } = made();
  const vmm = { pid: 7, startTime: '100' };
  expect(files.of(vmm)).toEqual([]);
  files.note(vmm, { files: ['/srv/old'], drivers: ['file', 'nbd'] });
  files.note(vmm, { files: ['/srv/disk'], drivers: ['file'] });
  files.note(vmm, { problem: 'silent' });
  expect(files.of(vmm)).toEqual(['/srv/disk']);
  expect(files.driversOf(vmm)).toEqual(['file']);
  expect(files.of({ ...vmm, startTime: '101' })).toEqual([]);
  expect(logged).toEqual([]);
});

it('a VMM that does not say them costs one line in the log, however often it is looked at', () => {
  const { files, logged } = made();
  const vmm = { pid: 7, startTime: '100' };
  for (let times = 0; times < 3; times += 1) files.note(vmm, { problem: 'silent' });
  expect(logged).toEqual([{ pid: 7, problem: 'silent' }]);
  expect(files.of(vmm)).toEqual([]);
  files.note(vmm, { files: ['/srv/disk'], drivers: ['file'] });
  expect(files.of(vmm)).toEqual(['/srv/disk']);
});

it('not everything is remembered for ever', () => {
  const { files } = made();
  for (let pid = 1; pid <= 513; pid += 1)
    files.note({ pid, startTime: '1' }, { files: ['/srv/disk'], drivers: ['file'] });
  expect([1, 2, 513].map((pid) => files.of({ pid, startTime: '1' }).length)).toEqual([0, 1, 1]);
});
