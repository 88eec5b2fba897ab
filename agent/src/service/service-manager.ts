// SPDX-License-Identifier: Apache-2.0
/** Which service manager the agent runs under: what it can do with descriptors depends on its version. */
import { execFile } from 'node:child_process';

/**
 * For example `systemd 262`; `none` where no service manager started the agent, `unknown` where it cannot be asked.
 *
 * @param notifySocket `$NOTIFY_SOCKET`, which a service manager sets.
 */
export function nameServiceManager(notifySocket: string | undefined): Promise<string> {
  if (notifySocket === undefined) return Promise.resolve('none');
  return new Promise((resolve) => {
    execFile('systemctl', ['--version'], { timeout: 5000 }, (error, stdout) => {
      const version = /^systemd (\d+)/.exec(stdout)?.[1];
      resolve(error !== null || version === undefined ? 'unknown' : `systemd ${version}`);
    });
  });
}
