// SPDX-License-Identifier: Apache-2.0
/**
 * The real console: Electron with a separate profile, on the display of this machine or on one of Xvfb's, driven by
 * Playwright. Elements are found the way a person or a screen reader finds them, by role and name.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import AxeBuilder from '@axe-core/playwright';
import { _electron, type ElectronApplication, type Page } from 'playwright-core';
import { expect } from 'vitest';
import type { LabHost } from '../../src/index.ts';

const repositoryTop = fileURLToPath(new URL('../../../', import.meta.url));

export const windowSizes = [
  { width: 1366, height: 768 },
  { width: 1920, height: 1080 },
] as const;

export interface Console extends AsyncDisposable {
  readonly app: ElectronApplication;
  readonly page: Page;
  readonly profile: string;
  /** Fails if axe finds a breach of WCAG 2.2 A or AA in what is shown, in light or in dark. */
  expectAccessible(): Promise<void>;
  /**
   * Saves the window at both sizes, light and dark, as NAME-SIZE-THEME.png in the directory that LUO_SCREENSHOTS names
   * (docs/screenshots for the documentation). Does nothing without it: pictures are looked at, not checked.
   */
  screenshots(name: string): Promise<void>;
}

/** A virtual display, wide enough for the largest window that is looked at. */
async function virtualDisplay(): Promise<{ display: string; server: ChildProcess }> {
  const server = spawn('Xvfb', ['-displayfd', '3', '-screen', '0', '2000x1200x24', '-nolisten', 'tcp'], {
    // It grumbles on standard error about each display that is taken.
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const numbers = server.stdio[3];
  if (!numbers || !('on' in numbers)) throw new Error('Xvfb: no pipe for the display number');
  const [line] = (await Promise.race([
    once(createInterface({ input: numbers as NodeJS.ReadableStream }), 'line'),
    once(server, 'exit').then(() => Promise.reject(new Error('Xvfb ended before it had a display'))),
  ])) as [string];
  return { display: `:${line}`, server };
}

/** Starts the console with an empty profile and, if a host is given, that host in its list, connecting at once. */
export async function openConsole(host?: LabHost, name = 'lab'): Promise<Console> {
  if (!process.env['ELECTRON_OVERRIDE_DIST_PATH'])
    throw new Error('ELECTRON_OVERRIDE_DIST_PATH is not set: run these tests with "npm test -- electron"');
  const profile = await mkdtemp(join(tmpdir(), 'luo-console-'));
  const screen = process.env['DISPLAY'] ? null : await virtualDisplay();
  const environment: Record<string, string> = {};
  for (const [key, value] of Object.entries(process.env)) if (value !== undefined) environment[key] = value;
  if (screen) environment['DISPLAY'] = screen.display;
  if (host) {
    environment['LUO_CONSOLE_HOST'] = JSON.stringify({
      name,
      address: `ssh://root@${host.sshAlias}`,
      sshConfig: host.sshConfig,
      serialSocket: host.serialSocket,
    });
  }
  // Without a path Playwright asks the electron package, which looks at the variable above; with one it leaves out its
  // loader and can wait for ever.
  const app = await _electron.launch({
    cwd: join(repositoryTop, 'electron'),
    // The appearance is the console's to choose.
    colorScheme: null,
    args: [
      // As root Chromium's sandbox cannot start; an ordinary user runs with it.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      join(repositoryTop, 'electron'),
      `--user-data-dir=${profile}`,
    ],
    env: environment,
    timeout: 120_000,
  });
  const page = await app.firstWindow();
  page.setDefaultTimeout(60_000);

  async function resize({ width, height }: (typeof windowSizes)[number]): Promise<void> {
    await app.evaluate(
      ({ BrowserWindow }, size) => BrowserWindow.getAllWindows()[0]?.setContentSize(size.width, size.height),
      {
        width,
        height,
      },
    );
    await page.waitForFunction((size) => innerWidth === size.width && innerHeight === size.height, {
      width,
      height,
    });
  }

  async function screenshots(view: string): Promise<void> {
    const directory = process.env['LUO_SCREENSHOTS'];
    if (!directory) return;
    await mkdir(directory, { recursive: true });
    for (const theme of ['light', 'dark'] as const) {
      await setTheme(theme);
      for (const size of windowSizes) {
        await resize(size);
        await page.screenshot({
          path: join(directory, `${view}-${size.width}x${size.height}-${theme}.png`),
          animations: 'disabled',
        });
      }
    }
    await setTheme('light');
    await resize(windowSizes[0]);
  }

  async function setTheme(theme: 'light' | 'dark'): Promise<void> {
    await app.evaluate(({ nativeTheme }, source) => {
      nativeTheme.themeSource = source;
    }, theme);
    await page.waitForFunction(
      (dark) => matchMedia('(prefers-color-scheme: dark)').matches === dark,
      theme === 'dark',
    );
  }

  async function expectAccessible(): Promise<void> {
    for (const theme of ['dark', 'light'] as const) {
      await setTheme(theme);
      // A colour that is on its way from one theme to the other is not what is judged.
      await page.evaluate(() =>
        Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {}))),
      );
      const { violations } = await new AxeBuilder({ page })
        .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'])
        .exclude('.xterm')
        .setLegacyMode()
        .analyze();
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      expect(found, `accessibility, ${theme}`).toEqual([]);
    }
  }

  return {
    app,
    page,
    profile,
    expectAccessible,
    screenshots,
    async [Symbol.asyncDispose]() {
      await app.close();
      screen?.server.kill();
      await rm(profile, { recursive: true, force: true });
    },
  };
}
