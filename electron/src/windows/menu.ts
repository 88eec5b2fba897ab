// SPDX-License-Identifier: Apache-2.0
/**
 * The application menu: only what the platform does for the window; everything else is in the page.
 * Accelerators that a shell in the terminal needs (Ctrl+R, Ctrl+W) are moved to Shift.
 */
import type { MenuItemConstructorOptions } from 'electron';

export const menuTemplate: MenuItemConstructorOptions[] = [
  { label: 'Console', submenu: [{ role: 'quit', accelerator: 'CmdOrCtrl+Shift+Q' }] },
  {
    label: 'Edit',
    submenu: [{ role: 'cut' }, { role: 'copy' }, { role: 'paste' }, { role: 'selectAll' }],
  },
  {
    label: 'View',
    submenu: [
      { role: 'resetZoom' },
      { role: 'zoomIn' },
      { role: 'zoomOut' },
      { type: 'separator' },
      { role: 'togglefullscreen' },
      { role: 'reload', accelerator: 'CmdOrCtrl+Shift+R' },
      { role: 'toggleDevTools' },
    ],
  },
  {
    label: 'Window',
    submenu: [{ role: 'minimize' }, { role: 'close', accelerator: 'CmdOrCtrl+Shift+W' }],
  },
];
