// SPDX-License-Identifier: Apache-2.0
/** Tests of set-up, the test runner and packaging: their pure parts, nothing is downloaded or installed. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: import.meta.dirname,
  // Some tests run a command of this repository, which takes seconds on a busy machine.
  test: { name: 'build', include: ['test/**/*.test.ts'], testTimeout: 20_000 },
});
