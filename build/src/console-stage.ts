// SPDX-License-Identifier: Apache-2.0
/**
 * The application that goes into a package of the console: the built code, and the two packages whose native code
 * cannot be bundled. Of those it has only the files for this platform.
 */

import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { inRepository } from './places.ts';

/** What is copied, from the repository to the application. */
const copiedFiles: Readonly<Record<string, string>> = {
  'electron/dist/main.js': 'dist/main.js',
  'electron/dist/preload.cjs': 'dist/preload.cjs',
  'renderer/dist': 'dist/renderer',
  'native-bindings/build/Release/luo_native.node': 'dist/luo_native.node',
  'node_modules/better-sqlite3/lib': 'node_modules/better-sqlite3/lib',
  'node_modules/better-sqlite3/LICENSE': 'node_modules/better-sqlite3/LICENSE',
  'node_modules/better-sqlite3/prebuilds/linux-x64.node':
    'node_modules/better-sqlite3/prebuilds/linux-x64.node',
  'node_modules/node-pty/lib': 'node_modules/node-pty/lib',
  'node_modules/node-pty/LICENSE': 'node_modules/node-pty/LICENSE',
  'node_modules/node-pty/build/Release/pty.node': 'node_modules/node-pty/build/Release/pty.node',
};

const nativePackages = ['better-sqlite3', 'node-pty'];

async function packageOf(folder: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(inRepository(folder, 'package.json'), 'utf8'));
}

/**
 * Puts the application together.
 *
 * @returns its directory
 */
export async function stageConsole(): Promise<string> {
  const stage = inRepository('build/dist/console-app');
  await rm(stage, { recursive: true, force: true });
  for (const [from, to] of Object.entries(copiedFiles)) {
    await mkdir(dirname(join(stage, to)), { recursive: true });
    await cp(inRepository(from), join(stage, to), { recursive: true });
  }
  const dependencies: Record<string, unknown> = {};
  for (const name of nativePackages) {
    const { version, main } = await packageOf(join('node_modules', name));
    dependencies[name] = version;
    // Files needed only to compile them are left out.
    const manifest = JSON.stringify({ name, version, main });
    await writeFile(join(stage, 'node_modules', name, 'package.json'), manifest);
  }
  const { version, productName, license } = await packageOf('electron');
  const { description } = await packageOf('.');
  const manifest = {
    ...{ name: 'luo-console', productName, version, description, license },
    ...{ author: 'LUO Console authors', type: 'module', main: 'dist/main.js', dependencies },
  };
  await writeFile(join(stage, 'package.json'), JSON.stringify(manifest));
  return stage;
}
