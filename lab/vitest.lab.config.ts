// SPDX-License-Identifier: Apache-2.0
/**
 * Tests that need a host. Two files run at a time. An emulated machine waits for one of its processors most of the
 * time, so two at once are done sooner. Limits are generous, since they only end a test that hangs. Tests with a window
 * ask for one at a time, and so does a host that is kept for all tests.
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
