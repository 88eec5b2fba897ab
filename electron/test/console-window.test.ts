// SPDX-License-Identifier: Apache-2.0
/** The window's locks, seen from Electron: what it is opened with, and what it refuses. */
import type { BrowserWindowConstructorOptions, Session, WebContents } from 'electron';
import { expect, test, vi } from 'vitest';

const opened = vi.hoisted(() => [] as { options: BrowserWindowConstructorOptions; url: string }[]);

vi.mock('electron', () => ({
  screen: { getAllDisplays: () => [{ workArea: { x: 0, y: 0, width: 1920, height: 1080 } }] },
  BrowserWindow: class {
    readonly webContents = { on: () => undefined };
    readonly #options: BrowserWindowConstructorOptions;
    constructor(options: BrowserWindowConstructorOptions) {
      this.#options = options;
    }
    on(): void {}
    once(): void {}
    async loadURL(url: string): Promise<void> {
      opened.push({ options: this.#options, url });
    }
  },
}));

const { lockContents, lockSession, openConsoleWindow } = await import('../src/windows/console-window.ts');

test('the window is isolated and sandboxed, and shows a page of ours', async () => {
  await openConsoleWindow({
    preload: '/p/preload.cjs',
    bounds: { x: 0, y: 0, width: 1366, height: 768, maximized: false },
    onBounds: () => undefined,
    log: () => undefined,
  });
  const [window] = opened;
  expect(window?.url).toBe('luo://console/index.html');
  const { webPreferences } = window?.options ?? {};
  expect(webPreferences).toMatchObject({
    preload: '/p/preload.cjs',
    contextIsolation: true,
    sandbox: true,
    nodeIntegration: false,
    nodeIntegrationInSubFrames: false,
    nodeIntegrationInWorker: false,
    webSecurity: true,
    allowRunningInsecureContent: false,
    webviewTag: false,
  });
});

type Listener = (event: { preventDefault(): void; isMainFrame?: boolean; url?: string }) => void;

test('a page cannot open a window, go elsewhere, or attach another page', () => {
  const listeners = new Map<string, Listener>();
  let decide: (() => { action: string }) | null = null;
  lockContents({
    setWindowOpenHandler: (handler: typeof decide) => {
      decide = handler;
    },
    on: (event: string, listener: Listener) => listeners.set(event, listener),
  } as unknown as WebContents);
  expect((decide as (() => { action: string }) | null)?.()).toEqual({ action: 'deny' });
  const isStopped = (event: string, more: { isMainFrame?: boolean; url?: string } = {}) => {
    const preventDefault = vi.fn();
    listeners.get(event)?.({ preventDefault, ...more });
    return preventDefault.mock.calls.length > 0;
  };
  expect(isStopped('will-frame-navigate', { isMainFrame: true, url: 'https://example.org/' })).toBe(true);
  expect(isStopped('will-frame-navigate', { isMainFrame: true, url: 'file:///etc/passwd' })).toBe(true);
  expect(isStopped('will-frame-navigate', { isMainFrame: false, url: 'luo://console/index.html' })).toBe(
    true,
  );
  expect(isStopped('will-frame-navigate', { isMainFrame: true, url: 'luo://console/index.html' })).toBe(
    false,
  );
  expect(isStopped('will-redirect')).toBe(true);
  expect(isStopped('will-attach-webview')).toBe(true);
});

test('a page is granted nothing and downloads nothing', () => {
  const granted: boolean[] = [];
  let download: Listener | null = null;
  lockSession({
    setPermissionRequestHandler: (ask: (c: null, p: string, decide: (yes: boolean) => void) => void) =>
      ask(null, 'media', (yes) => granted.push(yes)),
    setPermissionCheckHandler: (check: () => boolean) => granted.push(check()),
    setDevicePermissionHandler: (check: () => boolean) => granted.push(check()),
    on: (_event: string, listener: Listener) => {
      download = listener;
    },
  } as unknown as Session);
  expect(granted).toEqual([false, false, false]);
  const preventDefault = vi.fn();
  (download as Listener | null)?.({ preventDefault });
  expect(preventDefault).toHaveBeenCalled();
});
