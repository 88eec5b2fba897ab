// SPDX-License-Identifier: Apache-2.0
/**
 * Tests that need a host. Two files at a time: an emulated machine waits for one of its processors most of the time, so
 * two of them finish sooner together. Limits are generous, since they only end what hangs. A host that is kept for all
 * tests runs one file at a time.
 */

import { defineConfig } from 'vitest/config';

const { LUO_LAB_KEEP: kept } = process.env;

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['test/**/*.lab.ts'],
    maxWorkers: kept ? 1 : 2,
    testTimeout: 600_000,
    hookTimeout: 900_000,
  },
});
