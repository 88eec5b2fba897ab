// SPDX-License-Identifier: Apache-2.0
/**
 * Entry of the console's main process: opens the profile, puts the parts together, serves the bridge and
 * opens the window. One instance runs for each profile folder (`--user-data-dir`); a second one brings
 * the first one's window to the front and ends.
 *
 * To start it from the source tree: `electron [--no-sandbox] [--user-data-dir=FOLDER] electron/`, with the
 * bundle (rolldown.config.ts) and the interface built; `--no-sandbox` is needed as root and for nobody else.
 * LUO_CONSOLE_HOST in the environment (see hosts/host-list.ts) adds a host and connects to it. A test that
 * drives it with Playwright uses a fresh FOLDER and names no `executablePath`. It sets
 * ELECTRON_OVERRIDE_DIST_PATH in its own environment instead. Given a path, Playwright leaves out the loader
 * that holds the application back until Playwright is attached, and sometimes waits for ever.
 */
import { join } from 'node:path';
import { parseAddress } from '@luo-console/agent/client';
import { app, type BrowserWindow, dialog, Menu, nativeTheme, session } from 'electron';
import { createDispatcher } from './bridge/dispatch.ts';
import { serveBridge } from './bridge/ipc.ts';
import { systemClock } from './connections/clock.ts';
import { Connections } from './connections/connections.ts';
import { createConnector, createMachineConsoleCommand, createShellCommand } from './connections/connector.ts';
import { createHandlers } from './handlers.ts';
import { HostList, hostFromEnvironment } from './hosts/host-list.ts';
import { openReplica } from './replica/replica.ts';
import { type AskWhere, askWhere } from './saving/ask-where.ts';
import { saveImage } from './saving/image.ts';
import { saveJournal } from './saving/save-journal.ts';
import { openSettings } from './storage/settings.ts';
import { HostTerminals } from './terminals/host-terminals.ts';
import { Terminals } from './terminals/terminals.ts';
import { lockContents, lockSession, openConsoleWindow } from './windows/console-window.ts';
import { isPageUrl } from './windows/content-policy.ts';
import { findInterface } from './windows/interface-folder.ts';
import { menuTemplate } from './windows/menu.ts';
import { declarePageScheme, servePages } from './windows/page-protocol.ts';

function log(message: string): void {
  process.stderr.write(`luo-console: ${message}\n`);
}

function openProfile(folder: string) {
  const settings = openSettings(folder, log);
  const hosts = new HostList({ folder, checkAddress: parseAddress, onDamaged: log });
  const replica = openReplica(join(folder, 'replica.db'), log);
  return { settings, hosts, replica };
}

async function start(): Promise<void> {
  const interfaceFolder = findInterface(import.meta.dirname);
  const wanted = hostFromEnvironment(process.env['LUO_CONSOLE_HOST']);
  const { settings, hosts, replica } = openProfile(app.getPath('userData'));
  if (wanted) hosts.addOrEdit(wanted);

  const terminals = new Terminals();
  const connectorFor = (host: Parameters<typeof createConnector>[0]) =>
    createConnector(host, terminals, systemClock);
  const connections = new Connections({ hosts, replica, clock: systemClock, connectorFor, log });
  let window: BrowserWindow | null = null;

  const askFor: AskWhere = (question) => askWhere(window, question);

  nativeTheme.themeSource = settings.appearance;
  const handlers = createHandlers({
    hosts,
    connections,
    terminals,
    hostTerminals: new HostTerminals({
      terminals,
      shellOf: createShellCommand,
      machineConsoleOf: createMachineConsoleCommand,
    }),
    appearance: {
      get: () => settings.appearance,
      set: (appearance) => {
        settings.setAppearance(appearance);
        nativeTheme.themeSource = appearance;
      },
    },
    saveJournal: (host) => saveJournal(host, { hosts, connections, ask: askFor }),
    saveImage: (image) => saveImage(image, askFor),
  });
  serveBridge({ dispatcher: createDispatcher(handlers), isOurs: isPageUrl, log });

  let shutDown = false;
  app.on('will-quit', (event) => {
    if (shutDown) return;
    event.preventDefault();
    shutDown = true;
    terminals.closeAll();
    connections
      .disconnectAll()
      .catch((error: unknown) => log(String(error)))
      .finally(() => {
        replica.close();
        // Not in the same turn: the quit held back here must be over before the next one.
        setImmediate(() => app.quit());
      });
  });
  app.on('second-instance', () => {
    if (window?.isMinimized()) window.restore();
    window?.focus();
  });

  Menu.setApplicationMenu(Menu.buildFromTemplate(menuTemplate));
  lockSession(session.defaultSession);
  servePages(session.defaultSession, interfaceFolder);
  connections.resume();
  if (wanted) {
    const host = hosts.all().find(({ name }) => name === wanted.name.trim());
    if (host) connections.connect(host.id);
  }
  window = await openConsoleWindow({
    preload: join(import.meta.dirname, 'preload.cjs'),
    bounds: settings.windowBounds,
    onBounds: settings.rememberWindow,
    log,
  });
}

async function fail(error: unknown): Promise<void> {
  const message = error instanceof Error ? error.message : String(error);
  log(message);
  await dialog.showMessageBox({
    type: 'error',
    title: 'LUO Console',
    message: 'LUO Console cannot start.',
    detail: message,
  });
  app.exit(1);
}

app.setName('LUO Console');
app.setDesktopName('io.luoconsole.Console.desktop');
if (!app.commandLine.hasSwitch('user-data-dir')) {
  app.setPath('userData', join(app.getPath('appData'), 'luo-console'));
}
if (app.requestSingleInstanceLock()) {
  declarePageScheme();
  // Root can run it only with this switch; with the sandbox enabled as well, nothing would start.
  if (!app.commandLine.hasSwitch('no-sandbox')) app.enableSandbox();
  app.on('window-all-closed', () => app.quit());
  app.on('web-contents-created', (_event, contents) => lockContents(contents));
  app.whenReady().then(start).catch(fail);
} else {
  log('already running with this profile; its window was brought to the front');
  app.quit();
}
