// SPDX-License-Identifier: Apache-2.0
/** Tests of the lab's own code that need no host; those that do are in vitest.lab.config.ts. */

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    name: 'lab',
    root: import.meta.dirname,
    include: ['src/**/*.test.ts', 'bench/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 60_000,
  },
});
