// SPDX-License-Identifier: Apache-2.0
//
// Tests that need a host. One at a time: two emulated machines on two processors would make each
// other's time-outs a matter of luck. Limits are generous, since they only end what hangs.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['test/**/*.lab.ts'],
    fileParallelism: false,
    maxWorkers: 1,
    testTimeout: 600_000,
    hookTimeout: 900_000,
  },
});
