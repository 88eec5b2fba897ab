// SPDX-License-Identifier: Apache-2.0
/** The lifecycles at the heads of files name the tests that pin them: each of those must be there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');

const lifecycles = [
  'agent/src/liveupdate/held-session.ts',
  'agent/src/liveupdate/preserve.ts',
  'agent/src/adoption/adoptions.ts',
  'agent/src/update/record/phases.ts',
  'agent/src/update/arrive/first-things.ts',
];

/** The tests that a file's head names below "Tests:", a test's file on one line and its names on the next ones. */
function namedTests(path: string): { file: string; name: string }[] {
  const [head = ''] = readFileSync(join(root, path), 'utf8').split(' */', 1);
  const [, list = ''] = head.split(' * Tests:\n');
  let file = '';
  return list.split('\n').flatMap((line) => {
    const name = line.replace(/^ \* +/, '');
    if (name === '') return [];
    if (!name.endsWith('.test.ts')) return [{ file, name }];
    file = name;
    return [];
  });
}

it.each(lifecycles)('%s names only tests that exist', (path) => {
  const named = namedTests(path);
  expect(named.length).toBeGreaterThan(5);
  const absent = named.filter(({ file, name }) => {
    const at = join(root, file);
    return !existsSync(at) || !readFileSync(at, 'utf8').includes(`'${name}'`);
  });
  expect(absent).toEqual([]);
});
