// SPDX-License-Identifier: Apache-2.0
/** Which service manager the agent runs under: what it can do with descriptors depends on its version. */
import { readFile } from 'node:fs/promises';

/**
 * For example `systemd 262`; `none` where no service manager started the agent, `unknown` where it cannot be asked.
 *
 * The version is in the name of the library that process 1 has loaded, so it is that of the manager that runs, and
 * no program has to be started to ask; `systemctl` is, where that is not so.
 *
 * @param notifySocket `$NOTIFY_SOCKET`, which a service manager sets.
 * @param proc where procfs is mounted.
 */
export async function nameServiceManager(notifySocket: string | undefined, proc: string): Promise<string> {
  if (notifySocket === undefined) return 'none';
  const maps = await readFile(`${proc}/1/maps`, 'latin1').catch(() => '');
  const version = /\/libsystemd-(?:core|shared)-(\d+)[^/\n]*\.so$/m.exec(maps)?.[1];
  return version === undefined ? await askSystemctl() : `systemd ${version}`;
}

async function askSystemctl(): Promise<string> {
  const { execFile } = await import('node:child_process');
  return new Promise((resolve) => {
    execFile('systemctl', ['--version'], { timeout: 5000 }, (error, stdout) => {
      const version = /^systemd (\d+)/.exec(stdout)?.[1];
      resolve(error !== null || version === undefined ? 'unknown' : `systemd ${version}`);
    });
  });
}
