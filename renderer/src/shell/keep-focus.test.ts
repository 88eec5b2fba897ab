// SPDX-License-Identifier: Apache-2.0
/** Where the keyboard focus goes when the control that has it does. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { keepFocus } from './keep-focus.ts';

let stop: () => void;
let button: HTMLButtonElement;

beforeEach(() => {
  document.body.innerHTML =
    '<main><section class="view" hidden><h1>Other</h1></section><section class="view"><h1>Live update</h1><button>Plan</button></section></main>';
  stop = keepFocus(document);
  button = document.querySelector('button') as HTMLButtonElement;
  button.focus();
});

afterEach(() => {
  stop();
  document.body.innerHTML = '';
});

test('when a control goes, the heading of the view has the focus', async () => {
  button.remove();
  await vi.waitFor(() => expect(document.activeElement?.textContent).toBe('Live update'));
});

test('when a control is off for a moment, it has the focus again afterwards', async () => {
  // As Chromium has it: what is off has no focus. The document of the tests leaves it there.
  button.blur();
  button.disabled = true;
  await new Promise((resolve) => setTimeout(resolve, 1));
  expect(document.activeElement).toBe(document.body);
  button.disabled = false;
  await vi.waitFor(() => expect(document.activeElement).toBe(button));
});

test('a click that puts a control off and then away does not lose it either', async () => {
  button.dispatchEvent(new Event('pointerdown', { bubbles: true }));
  button.disabled = true;
  await new Promise((resolve) => setTimeout(resolve, 1));
  button.remove();
  await vi.waitFor(() => expect(document.activeElement?.textContent).toBe('Live update'));
});

test('who clicks beside everything means it', async () => {
  button.blur();
  document.body.dispatchEvent(new Event('pointerdown', { bubbles: true }));
  document.querySelector('main')?.append('more');
  await new Promise((resolve) => setTimeout(resolve));
  expect(document.activeElement).toBe(document.body);
});
