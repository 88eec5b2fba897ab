// SPDX-License-Identifier: Apache-2.0
/** The console's window, with a lab host in its list. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { LabHost } from '@luo-console/lab';
import { describeElectron, findElectron } from '../electron/runtime.ts';
import { inRepository } from '../places.ts';

/** How the console is told of a host it shall know and connect to: the value of LUO_CONSOLE_HOST. */
export function hostForConsole(host: LabHost): string {
  return JSON.stringify({
    name: host.name,
    address: `ssh://root@${host.sshAlias}`,
    sshConfig: host.sshConfig,
    serialSocket: host.serialSocket,
  });
}

/**
 * Opens the console and waits until it is closed.
 *
 * @returns its exit status
 */
export async function openConsole(host: LabHost): Promise<number> {
  const runtime = await findElectron();
  if (runtime === undefined) throw new Error('Electron is not there: run "npm run setup"');
  console.log(describeElectron(runtime));
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  if (sandbox.length > 0) {
    console.log("As root, Chromium's sandbox cannot start: this window runs without it.");
  }
  const electron = spawn(runtime.executable, [...sandbox, inRepository('electron')], {
    stdio: 'inherit',
    env: { ...process.env, LUO_CONSOLE_HOST: hostForConsole(host) },
  });
  const ignore = (): void => {};
  process.on('SIGINT', ignore);
  try {
    const [code] = (await once(electron, 'exit')) as [number | null];
    console.log(`The lab host ${host.name} goes on; "npm run lab -- down --name ${host.name}" ends it.`);
    return code ?? 1;
  } finally {
    process.off('SIGINT', ignore);
  }
}
