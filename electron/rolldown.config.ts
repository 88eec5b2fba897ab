// SPDX-License-Identifier: Apache-2.0
/**
 * Bundles the main process into one ES module and the preload script into one CommonJS file (a sandboxed
 * preload can load nothing else). Packages with native code stay outside and are resolved from
 * `node_modules`, because their binaries are found relative to their own files. The project's own addon is
 * looked for beside the bundle, so it is copied there.
 */
import { copyFileSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';

const here = import.meta.dirname;

const addonBeside = {
  name: 'addon-beside',
  writeBundle() {
    mkdirSync(join(here, 'dist'), { recursive: true });
    // By renaming: writing over a file that a running console has mapped would end that console.
    const beside = join(here, 'dist/luo_native.node');
    copyFileSync(join(here, '../native-bindings/build/Release/luo_native.node'), `${beside}.new`);
    renameSync(`${beside}.new`, beside);
  },
};

export default [
  {
    input: join(here, 'src/main.ts'),
    platform: 'node',
    external: ['electron', 'better-sqlite3', 'node-pty', /^node:/],
    plugins: [addonBeside],
    output: { file: join(here, 'dist/main.js'), format: 'esm', sourcemap: true },
  },
  {
    input: join(here, 'src/bridge/preload.ts'),
    platform: 'node',
    external: ['electron'],
    output: { file: join(here, 'dist/preload.cjs'), format: 'cjs' },
  },
];
