// SPDX-License-Identifier: Apache-2.0
/** The list of the helpers has each of them, and nothing else. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('every helper has a line in the README', () => {
  const directory = import.meta.dirname;
  const helpers = readdirSync(directory).filter((name) => /(?<!\.test)\.ts$/.test(name));
  const readme = readFileSync(join(directory, 'README.md'), 'utf8');
  const listed = [...readme.matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name);
  expect(listed).toEqual(helpers.sort());
});
