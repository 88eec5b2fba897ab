// SPDX-License-Identifier: Apache-2.0
/**
 * The two native addons that are compiled here: the project's own and node-pty, which has no binary for Linux in its
 * package. Both use Node-API, so the same file loads in Node and in Electron. Each is compiled in a separate directory
 * from a copy of its sources. The result is kept in the cache under a hash of the sources. So a fresh clone of the same
 * sources compiles nothing, and nobody ever sees half a build.
 */

import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { cached, cacheRoot, hashOf } from '../../bootstrap/cache.mjs';
import { runProgram } from '../../bootstrap/programs.mjs';
import { inRepository, nodeDirectory } from '../places.ts';
import type { Detail, Step } from '../step.ts';

interface Addon {
  /** Name of the cache entry before the hash. */
  readonly thing: string;
  /** The package, from the top of the repository. */
  readonly folder: string;
  /** What it is compiled from, in the folder. */
  readonly sources: readonly string[];
  /** What comes out of it, in the folder. */
  readonly product: string;
}

/** How many compilations of each addon stay in the cache: going back to another branch is quick. */
const entriesKept = 4;
const compiledFile = /\.(?:cc|cpp|c|h|hpp|gyp|gypi)$/;

/** The sources of an addon, path and contents, in a fixed order. */
async function sourcesOf(addon: Addon): Promise<[path: string, contents: Buffer][]> {
  const found: [string, Buffer][] = [];
  for (const source of addon.sources) {
    const path = inRepository(addon.folder, source);
    const names = compiledFile.test(source) ? [''] : (await readdir(path, { recursive: true })).sort();
    for (const name of names) {
      const file = join(path, name);
      if (compiledFile.test(file)) found.push([join(source, name), await readFile(file)]);
    }
  }
  return found;
}

async function entryOf(addon: Addon): Promise<string> {
  const parts = (await sourcesOf(addon)).flat();
  return `${addon.thing}-${hashOf([basename(nodeDirectory), ...parts])}`;
}

async function compile(addon: Addon, into: string, detail: Detail): Promise<void> {
  const tree = join(into, 'tree');
  for (const source of addon.sources) {
    await cp(inRepository(addon.folder, source), join(tree, source), { recursive: true });
  }
  await copyFile(inRepository(addon.folder, 'package.json'), join(tree, 'package.json'));
  // Its headers have to be in the same tree: gyp puts objects where the sources are, seen from there.
  const require = createRequire(inRepository(addon.folder, 'package.json'));
  const headers = dirname(require.resolve('node-addon-api/package.json'));
  await cp(headers, join(tree, 'node_modules/node-addon-api'), { recursive: true });
  const gyp = inRepository('node_modules/node-gyp/bin/node-gyp.js');
  await runProgram(process.execPath, [gyp, 'rebuild', '--release', `--nodedir=${nodeDirectory}`], {
    cwd: tree,
    onLine: detail,
    env: { npm_config_jobs: 'max' },
  });
  await rename(join(tree, addon.product), join(into, basename(addon.product)));
  await rm(tree, { recursive: true });
}

function addonStep(name: string, addon: Addon): Step {
  const product = inRepository(addon.folder, addon.product);
  const kept = async (): Promise<string> => join(cacheRoot(), await entryOf(addon), basename(addon.product));
  return {
    name,
    async isDone() {
      if (!existsSync(product)) return false;
      const file = await kept();
      return existsSync(file) && (await readFile(file)).equals(await readFile(product));
    },
    async run(detail) {
      const entry = await cached(await entryOf(addon), (into) => compile(addon, into, detail), entriesKept);
      await mkdir(dirname(product), { recursive: true });
      // Put in place by renaming: a process that has the old file loaded keeps the old file.
      await copyFile(join(entry, basename(product)), `${product}.new`);
      await rename(`${product}.new`, product);
    },
  };
}

/** The project's own addon. */
export const nativeAddon = addonStep('native addon', {
  thing: 'native-addon',
  folder: 'native-bindings',
  sources: ['binding.gyp', 'src/addon'],
  product: 'build/Release/luo_native.node',
});

/** node-pty's addon. */
export const nodePty = addonStep('node-pty', {
  thing: 'node-pty',
  folder: 'node_modules/node-pty',
  sources: ['binding.gyp', 'src', 'deps'],
  product: 'build/Release/pty.node',
});
