// SPDX-License-Identifier: Apache-2.0
/** Tests of everything that needs no Electron: the main process keeps its imports of it at the edge. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    name: 'electron',
    root: import.meta.dirname,
    include: ['test/**/*.test.ts'],
    // node-pty and the addon keep descriptors and child processes, which belong to a process.
    pool: 'forks',
    testTimeout: 20_000,
  },
});
