// SPDX-License-Identifier: Apache-2.0
/** The protocol that serves the page's files, and nothing beside them. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { isPageUrl } from '../src/windows/content-policy.ts';
import { findInterface } from '../src/windows/interface-folder.ts';
import { answerPageRequest, fileForUrl } from '../src/windows/page-files.ts';
import { temporaryFolder } from './temporary-folder.ts';

let folder: string;

beforeEach(() => {
  const parent = temporaryFolder();
  folder = join(parent, 'page');
  mkdirSync(join(folder, 'assets'), { recursive: true });
  writeFileSync(join(parent, 'secret.txt'), 'secret');
  writeFileSync(join(folder, 'index.html'), '<!doctype html>');
  writeFileSync(join(folder, 'assets/main.js'), 'export {};');
  writeFileSync(join(folder, 'assets/a b.css'), '');
  symlinkSync(join(parent, 'secret.txt'), join(folder, 'link.txt'));
});

/** The protocol handler gets requests whose scheme the Request constructor may not normalise as Chromium does. */
const get = (path: string, method = 'GET') => ({ method, url: `luo://console/${path}` }) as Request;

describe('the page protocol', () => {
  test.each([
    ['', 'text/html; charset=utf-8'],
    ['index.html', 'text/html; charset=utf-8'],
    ['index.html?x=1#y', 'text/html; charset=utf-8'],
    ['assets/main.js', 'text/javascript; charset=utf-8'],
    ['assets/a%20b.css', 'text/css; charset=utf-8'],
  ])('serves %j with the content policy', async (path, type) => {
    const response = await answerPageRequest(folder, get(path));
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe(type);
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("style-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*|wasm/);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  });

  test.each([
    '../secret.txt',
    '%2e%2e/secret.txt',
    '..%2fsecret.txt',
    'assets/..%2f..%2fsecret.txt',
    '%2e%2e%5csecret.txt',
    '/secret.txt',
    '%2fetc%2fpasswd',
    '%00',
    '%',
    'assets',
    'assets/',
    'index.html/x',
    'link.txt',
    'missing.js',
  ])('does not find %j', async (path) => {
    const response = await answerPageRequest(folder, get(path));
    expect(response.status).toBe(404);
    expect(await response.text()).toBe('Not found');
  });

  test('answers nothing but GET', async () => {
    expect((await answerPageRequest(folder, get('index.html', 'POST'))).status).toBe(405);
  });

  test('knows no other host or scheme', () => {
    expect(fileForUrl(folder, 'luo://other/index.html')).toBeNull();
    expect(fileForUrl(folder, 'file:///index.html')).toBeNull();
    expect(isPageUrl('luo://console/index.html')).toBe(true);
    expect(isPageUrl('luo://console.evil/index.html')).toBe(false);
    expect(isPageUrl('https://console/')).toBe(false);
  });
});

test('an interface that is not built is said to be', () => {
  expect(() => findInterface(join(folder, 'none'))).toThrow(/interface is not built.*renderer/);
  mkdirSync(join(folder, 'renderer'));
  writeFileSync(join(folder, 'renderer/index.html'), '');
  expect(findInterface(folder)).toBe(join(folder, 'renderer'));
});
