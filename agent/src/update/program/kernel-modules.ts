// SPDX-License-Identifier: Apache-2.0
/**
 * Modules of the kernel that make devices which a VMM needs. The host's own boot loads some of them late, and others only
 * once a program opens their node: the carrier loads them first. Nothing else does so for a machine, as the carrier waits
 * for a device and not for its node. What has to be loaded, and in which order, is looked up here, in what depmod has left
 * of a kernel (modules.dep(5)). That is the one which executes the program: the next one, or the running one if the agent
 * brings a machine back. If a module cannot be loaded, the machine still waits for its device.
 */
import { existsSync, readdirSync } from 'node:fs';
import type { HostPaths } from '../../host/paths.ts';
import { readBounded } from '../../host/read-bounded.ts';
import { saidBy } from '../../host/said-by.ts';
import { seenBy } from '../../host/seen-by.ts';
import { commandLineWords } from '../../kernel/facts.ts';
import type { Instruction } from './instructions.ts';

/** What makes a device. */
interface Maker {
  readonly device: string;
  /** By the name that `/proc/modules` shows. In capitals it is that of its option, behind `CONFIG_`. */
  readonly module: string;
  /** What the processor must be able to do for it, as `/proc/cpuinfo` says; nothing if it is not given. */
  readonly feature?: string;
}

const makers: readonly Maker[] = [
  { device: '/dev/kvm', module: 'kvm_intel', feature: 'vmx' },
  { device: '/dev/kvm', module: 'kvm_amd', feature: 'svm' },
  { device: '/dev/net/tun', module: 'tun' },
  { device: '/dev/vhost-net', module: 'vhost_net' },
  { device: '/dev/vhost-vsock', module: 'vhost_vsock' },
];

/** Of the kernel's files and of the administrator's, in bytes: one of depmod has some hundred thousand. */
const mostBytes = 16 * 1024 * 1024;

/** Compressed modules are unpacked by the kernel (CONFIG_MODULE_DECOMPRESS, include/uapi/linux/module.h). */
const compressedFile = 4;

/** Files of options, those of the same name in a directory further ahead instead (modprobe.d(5)). */
const optionDirectories = [
  '/etc/modprobe.d',
  '/run/modprobe.d',
  '/usr/local/lib/modprobe.d',
  '/usr/lib/modprobe.d',
  '/lib/modprobe.d',
];

/** As the kernel calls a module: in names of files, and where people write, there may be hyphens. */
const nameOf = (text: string): string => text.replaceAll('-', '_');
const nameOfFile = (path: string): string => nameOf(/([^/]*)\.ko(\.\w+)?$/.exec(path)?.[1] ?? '');

/**
 * Modules that make one of these devices on this machine, where a kernel has them as modules. The running kernel may have
 * them built in, and the next one not.
 *
 * @param paths of device nodes
 */
export function modulesFor(proc: string, paths: readonly string[]): string[] {
  const wanted = makers.filter(({ device }) => paths.includes(device));
  if (wanted.every(({ feature }) => feature === undefined)) return wanted.map(({ module }) => module);
  const text = readBounded(`${proc}/cpuinfo`, mostBytes)?.text ?? '';
  const features = new Set(/^flags\s*: (.*)$/m.exec(text)?.[1]?.split(' '));
  return wanted
    .filter(({ feature }) => feature === undefined || features.has(feature))
    .map(({ module }) => module);
}

/** The device that a module makes; null if it is none that a machine waits for. */
export const deviceOf = (name: string): string | null =>
  makers.find(({ module }) => module === name)?.device ?? null;

/** A kernel's modules on disk, with what to tell each when it is loaded. */
export class KernelModules {
  readonly #directory: string;
  /** As process 1 sees a path. */
  readonly #seen: (path: string) => string;
  /** Files with those on which each depends, as paths below the directory. */
  readonly #files = new Map<string, readonly string[]>();
  readonly #fileOf = new Map<string, string>();
  readonly #builtIn = new Set<string>();
  readonly #parameters = new Map<string, string[]>();
  /** Modules that have a command of the administrator's to load them. */
  readonly #commanded = new Set<string>();

  /**
   * @param proc where procfs is mounted: the files are those that process 1 sees, as the agent's own view has none
   * @param release of the kernel that will load them; one that has no modules has nothing to load
   * @param commandLine its command line, which has parameters of modules, too
   * @throws SystemError if something that is there cannot be read
   */
  constructor(proc: string, release: string, commandLine: string) {
    this.#seen = (path) => seenBy(proc, 1, path);
    const read = (path: string): string[] =>
      (readBounded(this.#seen(path), mostBytes)?.text ?? '').split('\n');
    this.#directory = `/lib/modules/${release}`;
    if (release.includes('/')) return;
    for (const line of read(`${this.#directory}/modules.dep`)) {
      const [file, after] = line.split(':');
      if (file === undefined || after === undefined) continue;
      this.#files.set(file, after.split(' ').filter(Boolean));
      this.#fileOf.set(nameOfFile(file), file);
    }
    const builtIn = read(`${this.#directory}/modules.builtin`).filter(Boolean);
    for (const file of builtIn) this.#builtIn.add(nameOfFile(file));
    for (const name of this.#builtIn) this.#fileOf.delete(name);
    for (const path of optionFiles(proc)) for (const line of joined(read(path))) this.#configure(line);
    for (const word of commandLineWords(commandLine)) {
      const [, name, parameter] = /^([\w-]+)\.(.+)$/s.exec(word.replace(/^"(.*)"$/s, '$1')) ?? [];
      if (name !== undefined && parameter !== undefined) this.#add(name, parameter);
    }
  }

  /** Whether depmod has left anything of this kernel's modules. */
  get known(): boolean {
    return this.#files.size > 0 || this.#builtIn.size > 0;
  }

  /** Whether it is built in, as `modules.builtin` says. */
  isBuiltIn(name: string): boolean {
    return this.#builtIn.has(name);
  }

  /** Files that are missing for a module to be loaded; null if the kernel has no such module. */
  missingFor(name: string): string[] | null {
    const files = this.#withDependencies([name]);
    if (files.length === 0) return null;
    return files.map((file) => this.#pathOf(file)).filter((path) => !existsSync(this.#seen(path)));
  }

  /** What loads modules, each behind those on which it depends. One that is built in or not there is left out. */
  instructions(names: readonly string[]): Instruction[] {
    const files = this.#withDependencies(names);
    // Whatever the command does, it is the host's boot that does it.
    if (files.some((file) => this.#commanded.has(nameOfFile(file)))) return [];
    return files.map((file) => ({
      does: 'module',
      flags: file.endsWith('.ko') ? 0 : compressedFile,
      path: this.#pathOf(file),
      parameters: (this.#parameters.get(nameOfFile(file)) ?? []).join(' '),
    }));
  }

  #pathOf(file: string): string {
    return file.startsWith('/') ? file : `${this.#directory}/${file}`;
  }

  /** Files of modules, each behind those on which it depends. */
  #withDependencies(names: readonly string[]): string[] {
    const files = new Set<string>();
    const visited = new Set<string>();
    const visit = (file: string): void => {
      if (visited.has(file)) return;
      visited.add(file);
      for (const each of this.#files.get(file) ?? []) visit(each);
      files.add(file);
    };
    for (const name of names) {
      const file = this.#fileOf.get(name);
      if (file !== undefined) visit(file);
    }
    return [...files];
  }

  /** A line of modprobe.d(5). */
  #configure(line: string): void {
    const [word, name = '', ...rest] = line.trim().split(/\s+/);
    if (word === 'options' && rest.length > 0) this.#add(name, rest.join(' '));
    if (word === 'install') this.#commanded.add(nameOf(name));
  }

  #add(name: string, parameter: string): void {
    const before = this.#parameters.get(nameOf(name)) ?? [];
    this.#parameters.set(nameOf(name), [...before, parameter]);
  }
}

/**
 * The modules of a kernel that will execute a resume program.
 *
 * @param commandLine its command line
 * @returns null if they cannot be read, which the log says: the program loads none then
 */
export function modulesOf(
  { paths, log }: ModulesContext,
  { release, commandLine }: { readonly release: string; readonly commandLine: string },
): KernelModules | null {
  try {
    return new KernelModules(paths.proc, release, commandLine);
  } catch (error) {
    const fields = { release, problem: saidBy(error) };
    log('warning', 'the modules of a kernel are unknown: none are loaded for its machines', fields);
    return null;
  }
}

interface ModulesContext {
  readonly paths: Pick<HostPaths, 'proc'>;
  log(level: 'warning', message: string, fields: Record<string, unknown>): void;
}

/** A backslash at the end of a line joins the next one to it. */
const joined = (lines: readonly string[]): string[] => lines.join('\n').replaceAll('\\\n', '').split('\n');

function optionFiles(proc: string): string[] {
  const found = new Map<string, string>();
  for (const directory of optionDirectories) {
    for (const name of namesIn(seenBy(proc, 1, directory)))
      if (name.endsWith('.conf') && !found.has(name)) found.set(name, `${directory}/${name}`);
  }
  return [...found].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, path]) => path);
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    // Most hosts have some of them only.
    return [];
  }
}
