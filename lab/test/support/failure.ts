// SPDX-License-Identifier: Apache-2.0
/** What a failed test needs beside its error: what the agent and the machines' QEMUs said in the host. */
import type { TestContext } from 'vitest';
import type { LabHost } from '../../src/index.ts';

const linesShown = 120;

/** For `afterEach`: after a test that failed, prints the ends of the logs in the host. */
export async function showLogsOfFailed({ task }: TestContext, host: LabHost | undefined): Promise<void> {
  if (task.result?.state !== 'fail' || !host || !(await host.running())) return;
  const command =
    `journalctl --no-pager -o short-monotonic -n ${linesShown} -u luo-console-agent -u 'luo-machine-*' -u 'vm-*'; ` +
    'luocon machines; luocon journal --limit 30; dmesg | grep -iE "luo|kho|memfd" | tail -n 30';
  const { stdout, stderr } = await host.sh(command, { timeoutMs: 120_000 });
  console.log(`--- ${host.name}, after "${task.name}" failed ---\n${stdout}${stderr}`);
}
