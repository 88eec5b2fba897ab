// SPDX-License-Identifier: Apache-2.0
/** Style elements made by script. A real browser tests style attributes: the in-memory document sets them itself. */
import { afterEach, expect, test } from 'vitest';
import { setStylesUnderPolicy } from './styles-under-policy.ts';

const { setAttribute } = Element.prototype;

// It is changed for the life of the page, which the other tests share.
afterEach(() => {
  Element.prototype.setAttribute = setAttribute;
});

// Style attributes are looked at in a real browser: the in-memory document sets them through setAttribute itself.
test('a style element made by script keeps its rules in a style sheet', () => {
  const owner = document.implementation.createHTMLDocument('');
  Object.defineProperty(owner, 'adoptedStyleSheets', { writable: true, value: [] });
  setStylesUnderPolicy(owner);

  const style = owner.createElement('style');
  expect(style.localName).not.toBe('style');
  style.textContent = '.a { color: red; }';
  expect(owner.adoptedStyleSheets).toHaveLength(1);
  expect(owner.adoptedStyleSheets[0]?.cssRules).toHaveLength(1);
  expect(style.textContent).toContain('.a');
  style.remove();
  expect(owner.adoptedStyleSheets).toHaveLength(0);
});
