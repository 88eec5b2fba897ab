// SPDX-License-Identifier: Apache-2.0
/** Component tests: real components in an in-memory document, with a fake bridge where the preload would be. */
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: import.meta.dirname,
  plugins: [svelte(), svelteTesting()],
  test: {
    name: 'renderer',
    environment: 'happy-dom',
    testTimeout: 60_000,
    // A document and its modules for each file took more time than its tests. What a test leaves behind is cleared in
    // test/setup.ts; `--sequence.shuffle` shows whether that is all.
    isolate: false,
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    setupFiles: ['test/setup.ts'],
  },
});
