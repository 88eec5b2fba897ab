// SPDX-License-Identifier: Apache-2.0
/**
 * What the running kernel says of itself in procfs: its release, this boot's identity, when it booted, how it
 * was configured and started.
 */
import { readFile } from 'node:fs/promises';
import type { HostPaths } from '../host/paths.ts';

/** A kernel configuration unpacked is some 300 KB; nothing larger is one. */
const configBytes = 8 * 1024 * 1024;

export interface KernelFacts {
  readonly release: string;
  readonly bootId: string;
  readonly commandLine: string;
  readonly hostName: string;
}

/** @throws the file system's error if procfs is not what it should be. */
export async function readKernelFacts(paths: Pick<HostPaths, 'proc'>): Promise<KernelFacts> {
  const read = async (name: string): Promise<string> =>
    (await readFile(`${paths.proc}/${name}`, 'utf8')).trim();
  const [release, bootId, commandLine, hostName] = await Promise.all([
    read('sys/kernel/osrelease'),
    read('sys/kernel/random/boot_id'),
    read('cmdline'),
    read('sys/kernel/hostname'),
  ]);
  return { release, bootId, commandLine, hostName };
}

/** Options of a kernel configuration: `CONFIG_X` to `y`, `m`, or its value. */
export type KernelConfig = ReadonlyMap<string, string>;

/**
 * The running kernel's configuration, from `/proc/config.gz` or `/boot/config-RELEASE`.
 *
 * @returns null if neither is there or readable.
 */
export async function readKernelConfig(paths: HostPaths, release: string): Promise<KernelConfig | null> {
  try {
    const packed = await readFile(`${paths.proc}/config.gz`);
    const { gunzipSync } = await import('node:zlib');
    return parseKernelConfig(gunzipSync(packed, { maxOutputLength: configBytes }).toString('latin1'));
  } catch {
    // Not built in (CONFIG_IKCONFIG_PROC); the distribution's copy may be there.
  }
  return await readInstalledConfig(paths, release);
}

/** The configuration of an installed kernel, from `/boot/config-RELEASE`; null if that is not there or readable. */
export async function readInstalledConfig(paths: HostPaths, release: string): Promise<KernelConfig | null> {
  try {
    return parseKernelConfig(await readFile(`${paths.boot}/config-${release}`, 'latin1'));
  } catch {
    return null;
  }
}

/** Parses `CONFIG_X=value` lines; options that are not set are left out. */
export function parseKernelConfig(text: string): KernelConfig {
  const options = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, name, value] = /^(CONFIG_\w+)=(.*)$/.exec(line) ?? [];
    if (name && value !== undefined) options.set(name, value);
  }
  return options;
}

/** The words of a kernel command line; a double-quoted value may hold spaces. */
export function commandLineWords(commandLine: string): string[] {
  return commandLine.match(/(?:[^\s"]|"[^"]*")+/g) ?? [];
}

/** The last value given for a parameter, or null. */
export function commandLineValue(commandLine: string, parameter: string): string | null {
  const prefix = `${parameter}=`;
  const word = commandLineWords(commandLine).findLast((each) => each.startsWith(prefix));
  return word === undefined ? null : word.slice(prefix.length);
}

/** How the kernel reads a switch (`kstrtobool`, `lib/kstrtox.c`): by its first letters. Null if it cannot. */
export function kernelBoolean(value: string): boolean | null {
  if (/^([yYtT1]|[oO][nN])/.test(value)) return true;
  if (/^([nNfF0]|[oO][fF])/.test(value)) return false;
  return null;
}

/** Free memory that programs can have, in bytes (`MemAvailable`), or null if it cannot be read. */
export async function availableMemory(paths: HostPaths): Promise<number | null> {
  const text = await readFile(`${paths.proc}/meminfo`, 'utf8').catch(() => '');
  const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
  return kibibytes === undefined ? null : Number(kibibytes) * 1024;
}
