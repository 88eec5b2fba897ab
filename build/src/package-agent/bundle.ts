// SPDX-License-Identifier: Apache-2.0
/**
 * One file of JavaScript for each program of the package. Imports from the workspaces and from npm are bundled in.
 * Native addons cannot be: each lies beside the bundles under a separate name.
 */

import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type Plugin, rolldown } from 'rolldown';
import { inRepository, repositoryTop } from '../places.ts';

export interface Bundle {
  /** File name and contents. */
  readonly name: string;
  readonly code: string;
  /** Folders of the npm packages that are part of it. */
  readonly packages: readonly string[];
}

const sqliteAddon = 'better_sqlite3.node';

/** The addons that lie beside the bundles: name there, path in the repository. */
export const addonFiles: Readonly<Record<string, string>> = {
  'luo_native.node': 'native-bindings/build/Release/luo_native.node',
  [sqliteAddon]: 'node_modules/better-sqlite3/prebuilds/linux-x64.node',
};

/** Points better-sqlite3 at its addon for this platform, beside the bundle. */
const sqliteBesideBundle: Plugin = {
  name: 'sqlite-beside-bundle',
  resolveId(source) {
    // The package's entry for one platform does not search the file system for its binary.
    if (source === 'better-sqlite3') return inRepository('node_modules/better-sqlite3/lib/linux-x64.js');
    if (source.endsWith('prebuilds/linux-x64.node')) return { id: `./${sqliteAddon}`, external: true };
    return null;
  },
};

/**
 * Bundles one program.
 *
 * @param entry its entry point, from the top of the repository
 * @param name file name of the bundle
 * @param split whether its imports at run time go into separate files, so that they need not be read and set up before
 * @returns the bundle, and after it those files
 */
export async function bundleProgram(entry: string, name: string, split = false): Promise<Bundle[]> {
  const build = await rolldown({
    input: inRepository(entry),
    // Paths in the output are relative to it, so it must not depend on where we were called.
    cwd: repositoryTop,
    platform: 'node',
    plugins: [sqliteBesideBundle],
    onLog(level, log) {
      if (level === 'warn') throw new Error(`bundling ${entry}: ${log.message}`);
    },
  });
  try {
    const { output } = await build.generate({
      format: 'esm',
      // The agent and luocon start in the blackout; one file is read faster than many.
      codeSplitting: split,
      comments: false,
      entryFileNames: name,
      chunkFileNames: name.replace(/\.mjs$/, '-[name].mjs'),
    });
    return output.flatMap((chunk) =>
      chunk.type === 'chunk'
        ? [{ name: chunk.fileName, code: chunk.code, packages: packagesOf(chunk.moduleIds) }]
        : [],
    );
  } finally {
    await build.close();
  }
}

/** Folders in node_modules that modules come from, each once, in alphabetical order. */
export function packagesOf(modules: readonly string[]): string[] {
  const found = new Set<string>();
  for (const module of modules) {
    const match = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(module);
    if (match?.[1]) found.add(match[1]);
  }
  return [...found].sort();
}

/**
 * The licences of npm packages, one after the other.
 *
 * @param packages their folders
 * @throws Error that names a package without a licence file
 */
export async function licencesOf(packages: readonly string[]): Promise<string> {
  const texts = packages.map(async (folder) => {
    const name = relative(inRepository('node_modules'), folder);
    const file = (await readdir(folder)).find((candidate) => /^licen[cs]e/i.test(candidate));
    if (file === undefined) throw new Error(`${folder}: no licence file, expected one to ship with ${name}`);
    return `${name}\n${'='.repeat(name.length)}\n\n${await readFile(join(folder, file), 'utf8')}`;
  });
  return (await Promise.all(texts)).join('\n\n');
}
