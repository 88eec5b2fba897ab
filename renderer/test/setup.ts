// SPDX-License-Identifier: Apache-2.0
/**
 * Adds what the in-memory document lacks: sizes, so that virtual lists show their rows, and the terminal's canvas. Clears
 * what a test leaves behind.
 */
import { configure } from '@testing-library/svelte';
import { afterEach, beforeEach, vi } from 'vitest';

// Waiting ends when what is waited for is there; this only ends what hangs, also on a machine with much else to do.
configure({ asyncUtilTimeout: 10_000 });

Object.defineProperties(HTMLElement.prototype, {
  offsetHeight: { configurable: true, get: () => 600 },
  offsetWidth: { configurable: true, get: () => 900 },
});

// xterm.js measures glyphs, which needs a real browser; the end-to-end tests look at it in one.
vi.mock('@xterm/xterm', async () => import('./fake-terminal.ts'));
vi.mock('@xterm/addon-search', async () => import('./fake-terminal.ts'));

beforeEach(() => {
  localStorage.clear();
  location.hash = '';
});

// All files of a worker share one page.
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  document.getSelection()?.removeAllRanges();
  delete window.luo;
});
