// SPDX-License-Identifier: Apache-2.0
/**
 * The agent's unit tests: everything under src that needs no lab. Each file gets a separate process, because descriptor
 * counts in /proc/self/fd belong to a process.
 */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'generator/**/*.test.ts', 'test/**/*.test.ts'],
    pool: 'forks',
    testTimeout: 20_000,
  },
});
