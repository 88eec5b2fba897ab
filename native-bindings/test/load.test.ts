// SPDX-License-Identifier: Apache-2.0
/** Finding the addon: in the source tree, beside a bundle, or not at all. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { addon, loadAddon } from '../src/load.ts';

const built = new URL('../build/Release/luo_native.node', import.meta.url);

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-load-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it('takes the first place that has a file', () => {
  const nowhere = pathToFileURL(join(directory, 'luo_native.node'));
  expect(loadAddon([nowhere, built])).toBe(addon);
});

it('names every place it looked at', () => {
  const places = ['one', 'two'].map((name) => join(directory, name));
  expect(() => loadAddon(places.map((place) => pathToFileURL(place)))).toThrow(
    `the native addon is not built: expected luo_native.node at ${places.join(' or ')} (npm run setup builds it)`,
  );
});

it('does not pass over a file that does not load', () => {
  const broken = join(directory, 'luo_native.node');
  writeFileSync(broken, 'not an object file');
  expect(() => loadAddon([pathToFileURL(broken), built])).toThrow(/luo_native\.node/);
});
