// SPDX-License-Identifier: Apache-2.0
/** The unit tests of all workspaces: whatever needs neither the lab nor Electron. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const workspaceNames = ['native-bindings', 'agent', 'lab', 'build', 'electron', 'renderer'];

export default defineConfig({
  test: {
    projects: workspaceNames
      .map((workspace) => join(import.meta.dirname, workspace, 'vitest.config.ts'))
      .filter(existsSync),
  },
});
