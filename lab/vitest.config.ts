// SPDX-License-Identifier: Apache-2.0
//
// Tests of the lab's own code that need no host; those that do are in vitest.lab.config.ts.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    name: 'lab',
    root: import.meta.dirname,
<<<<<<< HEAD
    include: ['{src,test/support}/**/*.test.ts'],
=======
    include: ['{src,bench}/**/*.test.ts'],
>>>>>>> bench
    testTimeout: 60_000,
  },
});
