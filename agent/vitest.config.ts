// SPDX-License-Identifier: Apache-2.0
/**
 * The agent's unit tests: everything that needs no lab. With LUO_SLOW=1 also those that run for long
 * (`*.slow.test.ts`), and with LUO_FAULTS=1 all faults (`*.faults.test.ts`). Each file gets a separate process, because descriptor counts in /proc/self/fd belong to a process.
 */
import { defineConfig } from 'vitest/config';

const { LUO_SLOW: slow, LUO_FAULTS: faults } = process.env;

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'generator/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: [
      ...(slow === '1' ? [] : ['**/*.slow.test.ts']),
      ...(faults === '1' ? [] : ['**/*.faults.test.ts']),
    ],
    pool: 'forks',
    testTimeout: 20_000,
  },
});
