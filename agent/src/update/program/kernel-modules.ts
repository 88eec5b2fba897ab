// SPDX-License-Identifier: Apache-2.0
/**
 * Modules of the kernel that make devices which a VMM needs. The host's own boot loads them, too, but late: the carrier
 * loads them first. What has to be loaded, and in which order, is looked up here, in what depmod has left of the next
 * kernel (modules.dep(5)). A module that cannot be loaded costs nothing: the machine waits for its device as before.
 */
import { readdirSync } from 'node:fs';
import { readBounded } from '../../host/read-bounded.ts';
import { seenBy } from '../../host/seen-by.ts';
import { commandLineWords } from '../../kernel/facts.ts';
import type { Instruction } from './instructions.ts';

/** Device nodes, and modules of which one makes the device, by the names that `/proc/modules` shows. */
const makers: Readonly<Record<string, readonly string[]>> = {
  '/dev/kvm': ['kvm_intel', 'kvm_amd'],
  '/dev/net/tun': ['tun'],
  '/dev/vhost-net': ['vhost_net'],
  '/dev/vhost-vsock': ['vhost_vsock'],
};

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

/** Modules that are loaded in the running kernel and make one of these devices. @param paths of device nodes */
export function modulesFor(proc: string, paths: readonly string[]): string[] {
  const wanted = paths.flatMap((path) => makers[path] ?? []);
  if (wanted.length === 0) return [];
  const text = readBounded(`${proc}/modules`, mostBytes)?.text ?? '';
  const loaded = new Set(text.split('\n').map((line) => line.split(' ')[0]));
  return [...new Set(wanted)].filter((name) => loaded.has(name));
}

/** A kernel's modules on disk, with what to tell each when it is loaded. */
export class KernelModules {
  readonly #directory: string;
  /** Files with those on which each depends, as paths below the directory. */
  readonly #files = new Map<string, readonly string[]>();
  readonly #fileOf = new Map<string, string>();
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
    const read = (path: string): string[] =>
      (readBounded(seenBy(proc, 1, path), mostBytes)?.text ?? '').split('\n');
    this.#directory = `/lib/modules/${release}`;
    if (release.includes('/')) return;
    for (const line of read(`${this.#directory}/modules.dep`)) {
      const [file, after] = line.split(':');
      if (file === undefined || after === undefined) continue;
      this.#files.set(file, after.split(' ').filter(Boolean));
      this.#fileOf.set(nameOfFile(file), file);
    }
    for (const line of read(`${this.#directory}/modules.builtin`)) this.#fileOf.delete(nameOfFile(line));
    for (const path of optionFiles(proc)) for (const line of joined(read(path))) this.#configure(line);
    for (const word of commandLineWords(commandLine)) {
      const [, name, parameter] = /^([\w-]+)\.(.+)$/s.exec(word.replace(/^"(.*)"$/s, '$1')) ?? [];
      if (name !== undefined && parameter !== undefined) this.#add(name, parameter);
    }
  }

  /** What loads modules, each behind those on which it depends. One that is built in or not there is left out. */
  instructions(names: readonly string[]): Instruction[] {
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
    const all = [...files];
    // Whatever the command does, it is the host's boot that does it.
    if (all.some((file) => this.#commanded.has(nameOfFile(file)))) return [];
    return all.map((file) => ({
      does: 'module',
      flags: file.endsWith('.ko') ? 0 : compressedFile,
      path: file.startsWith('/') ? file : `${this.#directory}/${file}`,
      parameters: (this.#parameters.get(nameOfFile(file)) ?? []).join(' '),
    }));
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
