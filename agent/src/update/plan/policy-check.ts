// SPDX-License-Identifier: Apache-2.0
/**
 * The preflight check of whether the next kernel has the security policy that confines machines. A machine is never started
 * without the profile that it had. So where no boot loads that, it would be held.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { VmmFacts } from '../../adoption/vmm-facts.ts';
import type { HostPaths } from '../../host/paths.ts';
import type { CheckVerdict, PlannedMachine } from '../../interface/agent.generated.ts';
import { commandLineValue, type KernelConfig, readInstalledConfig } from '../../kernel/facts.ts';

/** What will be booted. */
interface NextKernel {
  readonly image: { readonly release: string };
  readonly commandLine: string;
  readonly machines: readonly PlannedMachine[];
  /** By session. One that is missing was not looked at. */
  readonly vmms: ReadonlyMap<string, Pick<VmmFacts, 'profile'>>;
}

/** Files of a policy that are looked at, and how large they may be, in bytes: more than any host has. */
const mostFiles = 4096;
const mostBytes = 1024 * 1024;

/**
 * Looks for AppArmor in the next kernel, and for each profile in the host's policy. Changes nothing.
 *
 * @returns a fail only where it is certain that AppArmor will not be there
 */
export async function policyCheck(
  { paths }: { readonly paths: HostPaths },
  { image: { release }, commandLine, machines, vmms }: NextKernel,
): Promise<readonly [CheckVerdict, string]> {
  const confined = machines.flatMap(({ name, session, leave }) => {
    const profile = leave ? null : (vmms.get(session ?? '')?.profile ?? null);
    return profile === null ? [] : [{ name, profile: profile.name }];
  });
  if (confined.length === 0) return ['pass', 'no machine is confined by a security policy'];
  const names = confined.map(({ name }) => name).join(', ');
  const are = confined.length === 1 ? 'is' : 'are';
  const why = withoutAppArmor(await readInstalledConfig(paths, release), commandLine, release);
  if (why !== null)
    return ['fail', `${names} ${are} confined by AppArmor, but ${why}. They would not be started without it`];
  const texts = await policyTexts(join(paths.etc, 'apparmor.d'));
  const unknown = confined.filter(({ profile }) => !texts.some((text) => text.includes(profile)));
  if (unknown.length === 0) return ['pass', `the host's policy has what confines ${names}`];
  const each = unknown.map(({ name, profile }) => `${name}: ${profile}`).join('; ');
  return [
    'warn',
    `no file in ${paths.etc}/apparmor.d names what confines these machines: ${each}. Each waits for its profile, and is held if no boot loads it`,
  ];
}

/**
 * Why a kernel starts without AppArmor (`ordered_lsm_parse`, security/lsm_init.c).
 *
 * @param config null if it is unknown: then it is trusted to have it
 * @returns null if it starts with it, or that is unknown
 */
function withoutAppArmor(config: KernelConfig | null, commandLine: string, release: string): string | null {
  if (config !== null && config.get('CONFIG_SECURITY_APPARMOR') !== 'y')
    return `${release} is built without CONFIG_SECURITY_APPARMOR`;
  if (commandLineValue(commandLine, 'apparmor') === '0') return 'apparmor=0 switches it off';
  const has = (list: string): boolean => list.replaceAll('"', '').split(',').includes('apparmor');
  const asked = commandLineValue(commandLine, 'lsm');
  if (asked !== null) return has(asked) ? null : `lsm=${asked} leaves it out`;
  const major = commandLineValue(commandLine, 'security');
  if (major !== null) return major === 'apparmor' ? null : `security=${major} chooses another policy`;
  const usual = config?.get('CONFIG_LSM');
  return usual === undefined || has(usual) ? null : `${release} does not start it without lsm= or security=`;
}

/** The files of a policy; what cannot be read names nothing. */
async function policyTexts(directory: string): Promise<string[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = found.filter((each) => each.isFile()).slice(0, mostFiles);
  const read = async (path: string): Promise<string> => (await readFile(path, 'utf8')).slice(0, mostBytes);
  return await Promise.all(files.map(({ parentPath, name }) => read(join(parentPath, name)).catch(() => '')));
}
