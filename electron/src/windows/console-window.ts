// SPDX-License-Identifier: Apache-2.0
/**
 * The console's one window: sandboxed, isolated, at the size it had last time, and unable to go
 * anywhere else. Nothing in the page can open a window, navigate, download or be granted a permission.
 */
import { BrowserWindow, type Session, screen, type WebContents } from 'electron';
import { isPageUrl, pageUrl } from './content-policy.ts';
import { fitToDisplays, minimumSize, type WindowBounds } from './window-bounds.ts';

/** Refuses everything that a page may ask of the browser around it. */
export function lockSession(session: Session): void {
  session.setPermissionRequestHandler((_contents, _permission, decide) => decide(false));
  session.setPermissionCheckHandler(() => false);
  session.setDevicePermissionHandler(() => false);
  session.on('will-download', (event) => event.preventDefault());
}

/** Keeps a page where it is. */
export function lockContents(contents: WebContents): void {
  contents.setWindowOpenHandler(() => ({ action: 'deny' }));
  contents.on('will-attach-webview', (event) => event.preventDefault());
  contents.on('will-frame-navigate', (event) => {
    if (!event.isMainFrame || !isPageUrl(event.url)) event.preventDefault();
  });
  contents.on('will-redirect', (event) => event.preventDefault());
}

export interface WindowOptions {
  /** Absolute path of the bundled preload script. */
  readonly preload: string;
  /** Where it was last time. */
  readonly bounds: WindowBounds;
  /** Told where it was when it is closed. */
  readonly onBounds: (bounds: WindowBounds) => void;
  readonly log: (message: string) => void;
}

/** Opens the window; it is shown once it has something to show. */
export async function openConsoleWindow(options: WindowOptions): Promise<BrowserWindow> {
  const { preload, onBounds, log } = options;
  const displays = screen.getAllDisplays().map((display) => display.workArea);
  const { maximized, ...bounds } = fitToDisplays(options.bounds, displays);
  const window = new BrowserWindow({
    ...bounds,
    minWidth: minimumSize.width,
    minHeight: minimumSize.height,
    title: 'LUO Console',
    show: false,
    autoHideMenuBar: true,
    webPreferences: {
      preload,
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
      nodeIntegrationInSubFrames: false,
      nodeIntegrationInWorker: false,
      webSecurity: true,
      allowRunningInsecureContent: false,
      webviewTag: false,
      spellcheck: false,
      navigateOnDragDrop: false,
      // A host's progress goes on being drawn while another window covers this one.
      backgroundThrottling: false,
    },
  });
  if (maximized) window.maximize();
  const remember = () => {
    if (window.isMinimized()) return;
    onBounds({ ...window.getNormalBounds(), maximized: window.isMaximized() });
  };
  window.on('close', remember);
  window.once('ready-to-show', () => window.show());
  window.webContents.on('preload-error', (_event, path, error) => log(`preload ${path}: ${error.message}`));
  window.webContents.on('render-process-gone', (_event, details) =>
    log(`page process gone: ${details.reason}`),
  );
  await window.loadURL(pageUrl);
  return window;
}
