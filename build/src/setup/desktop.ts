// SPDX-License-Identifier: Apache-2.0
/**
 * The console's own code, built: the main process and preload into electron/dist, the page into
 * renderer/dist. What they were built from is noted beside them as a hash.
 */

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { hashOf } from '../../bootstrap/cache.mjs';
import { runProgram } from '../../bootstrap/programs.mjs';
import { inRepository } from '../places.ts';
import type { Step } from '../step.ts';

/** What goes into the console, from the top of the repository. */
const bundleInputs = [
  'package-lock.json',
  'native-bindings/src',
  'agent/src/client',
  'agent/src/interface',
  'agent/src/varlink',
  'electron/src',
  'electron/rolldown.config.ts',
  'renderer/index.html',
  'renderer/src',
  'renderer/vite.config.ts',
  'renderer/svelte.config.js',
];
const builtFromNotes = ['electron/dist/built-from', 'renderer/dist/built-from'];

async function filesOf(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOTDIR') return undefined;
      throw error;
    },
  );
  if (entries === undefined) return [path];
  const files = entries.filter((entry) => entry.isFile() && !/\.test\.ts$/.test(entry.name));
  return files.map((entry) => join(entry.parentPath, entry.name)).sort();
}

async function hashOfInputs(): Promise<string> {
  const files = (await Promise.all(bundleInputs.map((input) => filesOf(inRepository(input))))).flat();
  const contents = await Promise.all(files.map((file) => readFile(file)));
  return hashOf(files.flatMap((file, index) => [relative(inRepository(), file), contents[index] ?? '']));
}

export const desktop: Step = {
  name: 'console',
  async isDone() {
    const notes = await Promise.all(
      builtFromNotes.map((note) => readFile(inRepository(note), 'utf8').catch(() => undefined)),
    );
    const hash = await hashOfInputs();
    return notes.every((note) => note === hash);
  },
  async run(detail) {
    const hash = await hashOfInputs();
    const node = process.execPath;
    detail('main process and preload');
    await runProgram(node, [inRepository('node_modules/rolldown/bin/cli.mjs'), '-c'], {
      cwd: inRepository('electron'),
    });
    detail('page');
    await runProgram(node, [inRepository('node_modules/vite/bin/vite.js'), 'build'], {
      cwd: inRepository('renderer'),
    });
    for (const note of builtFromNotes) await writeFile(inRepository(note), hash);
  },
};
