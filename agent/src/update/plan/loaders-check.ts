// SPDX-License-Identifier: Apache-2.0
/**
 * The preflight check of what else on the host loads kernels. With another image than the agent's the kexec loses
 * everything, and nothing tells before. The agent loads its own again right before machines are stopped. What loads one
 * after that cannot be kept from it, so it is named.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { commandOf } from '../../host/open-by.ts';
import type { HostPaths } from '../../host/paths.ts';
import type { CheckVerdict } from '../../interface/agent.generated.ts';
import { enabledUnits } from '../../units/enabled.ts';

/** Units of Debian's `kexec-tools` and `kdump-tools`, and of others: `kdump.service`, `kexec-load.service` with timers. */
const loaderUnit = /k(exec|dump).*\.(service|timer|path)$/;

/** Links of init scripts, for example `K01kexec-load`. */
const loaderScript = /^[SK]\d\d(.*k(exec|dump).*)$/;

/** What such programs call themselves: `kexec`, `kdump-config`, `kdumpctl`. */
const loaderCommand = /^k(exec|dump)/;

async function enabledScripts(etc: string): Promise<string[]> {
  const levels = (await readdir(etc).catch(() => [])).filter((name) => /^rc[0-9S]\.d$/.test(name));
  const links = await Promise.all(levels.map((level) => readdir(join(etc, level)).catch(() => [])));
  const scripts = links.flat().flatMap((link) => loaderScript.exec(link)?.[1] ?? []);
  return [...new Set(scripts)].sort();
}

async function runningLoaders(proc: string): Promise<string[]> {
  const pids = (await readdir(proc).catch(() => [])).map(Number).filter((pid) => Number.isInteger(pid));
  const commands = await Promise.all(
    pids.map(async (pid) => ({ pid, command: (await commandOf(proc, pid)) ?? '' })),
  );
  return commands
    .filter(({ command }) => loaderCommand.test(command))
    .map(({ pid, command }) => `${command} (pid ${pid}) runs`);
}

/** Names the programs that may load another kernel between the plan and the kexec. */
export async function loadersCheck({
  proc,
  etc,
}: Pick<HostPaths, 'proc' | 'etc'>): Promise<readonly [CheckVerdict, string]> {
  const [running, units, scripts] = await Promise.all([
    runningLoaders(proc),
    enabledUnits(etc, loaderUnit),
    enabledScripts(etc),
  ]);
  // A unit of the same name is started in place of a script.
  const others = scripts.filter((script) => !units.includes(`${script}.service`));
  const found = [...running, ...[...units, ...others].map((name) => `${name} is enabled`)];
  if (found.length === 0) return ['pass', 'no other program was found that loads kernels'];
  return [
    'warn',
    `${found.join(', ')}: with a kernel that it loads, everything would be lost. The agent loads its own again right before machines are stopped; let nothing load one after that`,
  ];
}
