// SPDX-License-Identifier: Apache-2.0
/**
 * The page and its sources fetch nothing from anywhere else: what the window's policy would refuse is not there
 * either.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const workspace = join(import.meta.dirname, '../..');

test('the page has no inline script or style and names nothing elsewhere', () => {
  const page = readFileSync(join(workspace, 'index.html'), 'utf8');
  expect(page).not.toMatch(/https?:|\/\/[a-z]/i);
  expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<iframe|<object|<base/i);
  for (const script of page.match(/<script[^>]*>/g) ?? []) expect(script).toMatch(/\ssrc="\//);
});

test('neither do the styles and components, and none asks a server', () => {
  const sources = readdirSync(join(workspace, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (path) => /\.(svelte|css|ts)$/.test(path) && !path.endsWith('.test.ts'),
  );
  expect(sources.length).toBeGreaterThan(50);
  for (const path of sources) {
    const text = readFileSync(join(workspace, 'src', path), 'utf8');
    expect(text, path).not.toMatch(/url\(\s*['"]?(https?:)?\/\/|@import\s+['"]https?:|\bsrc="https?:/i);
    expect(text, path).not.toMatch(/\bfetch\(|XMLHttpRequest|new WebSocket|\{@html/);
  }
});
