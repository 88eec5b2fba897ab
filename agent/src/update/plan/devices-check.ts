// SPDX-License-Identifier: Apache-2.0
/**
 * The preflight check of whether the next kernel makes the devices that machines need. A distribution's kernel makes them
 * with modules. Without a module's file no boot loads it, and the machine would wait for its device and be held.
 */
import type { VmmFacts } from '../../adoption/vmm-facts.ts';
import type { HostPaths } from '../../host/paths.ts';
import type { CheckVerdict, PlannedMachine } from '../../interface/agent.generated.ts';
import { type KernelConfig, readInstalledConfig } from '../../kernel/facts.ts';
import { deviceOf, KernelModules } from '../program/kernel-modules.ts';

/** What will be booted. */
interface NextKernel {
  readonly image: { readonly release: string };
  readonly commandLine: string;
  readonly machines: readonly PlannedMachine[];
  /** By session. One that is missing was not looked at. */
  readonly vmms: ReadonlyMap<string, Pick<VmmFacts, 'modules'>>;
}

/**
 * Looks for what makes each device that a machine needs. Changes nothing.
 *
 * @returns a fail only where it is certain that the kernel has no way to make one
 */
export async function devicesCheck(
  { paths }: { readonly paths: HostPaths },
  { image: { release }, commandLine, machines, vmms }: NextKernel,
): Promise<readonly [CheckVerdict, string]> {
  const needing = new Map<string, string[]>();
  for (const { name, session, leave } of machines) {
    const { modules } = leave ? { modules: [] } : (vmms.get(session ?? '') ?? { modules: [] });
    for (const module of modules) needing.set(module, [...(needing.get(module) ?? []), name]);
  }
  if (needing.size === 0) return ['pass', 'no machine needs a device that a module could make'];
  const config = await readInstalledConfig(paths, release);
  const modules = new KernelModules(paths.proc, release, commandLine);
  if (config === null && !modules.known)
    return [
      'pass',
      `it is unknown which devices ${release} makes: its configuration is not in ${paths.boot}`,
    ];
  const why = [...needing].flatMap(([module, names]) => {
    const problem = problemWith(module, config, modules, release);
    const device = deviceOf(module);
    const need = names.length === 1 ? 'needs' : 'need';
    return problem === null || device === null
      ? []
      : [`${names.join(', ')} ${need} ${device}, but ${problem}`];
  });
  if (why.length === 0) return ['pass', `${release} makes every device that a machine needs`];
  const remedy = `Install the modules of ${release}, choose another kernel, or leave behind what needs them`;
  return ['fail', `${why.join('; ')}. ${remedy}`];
}

/** Why a kernel does not have what makes a device; null if it has it. */
function problemWith(
  module: string,
  config: KernelConfig | null,
  modules: KernelModules,
  release: string,
): string | null {
  const option = `CONFIG_${module.toUpperCase()}`;
  if (modules.isBuiltIn(module) || config?.get(option) === 'y') return null;
  const missing = modules.missingFor(module);
  if (missing?.length === 0) return null;
  if (missing !== null) return `${missing.join(', ')} is missing`;
  if (config !== null && !config.has(option)) return `${release} is built without ${option}`;
  return `its module ${module} is not in /lib/modules/${release}`;
}
