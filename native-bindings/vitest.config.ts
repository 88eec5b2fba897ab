// SPDX-License-Identifier: Apache-2.0
/** Tests of the addon. With LUO_SLOW=1 also those that build it again or run for long (`*.slow.test.ts`). */
import { defineConfig } from 'vitest/config';

const { LUO_SLOW: slow } = process.env;

export default defineConfig({
  test: {
    name: 'native',
    root: import.meta.dirname,
    include: ['test/**/*.test.ts'],
    exclude: slow === '1' ? [] : ['**/*.slow.test.ts'],
    // Descriptors belong to the process: tests that count them must not share one with others.
    pool: 'forks',
    isolate: true,
    // Only against a test that hangs: how long one takes depends on what else the machine is doing.
    testTimeout: 120_000,
    execArgv: ['--expose-gc'],
  },
});
