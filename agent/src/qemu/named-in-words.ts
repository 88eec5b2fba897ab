// SPDX-License-Identifier: Apache-2.0
/**
 * What a command line of QEMU names of its host, and the same command line with other names. These are paths of disks,
 * sockets and other files, bridges and taps. A name is a whole value of an option, alone or behind `unix:`, `file:` or
 * `pipe:`; nothing inside a value is ever replaced. A guest's owner may have chosen the words: they are only read as
 * text, in time proportional to their length. What a file of `-readconfig` names is not looked at.
 */
import { firstKeys, isServer, type Options, readOptions } from './command-line.ts';

/**
 * `socket`: QEMU makes it and listens there. `output`: a file that QEMU makes or writes to. `file`: any other path.
 */
export type NameKind = 'disk' | 'socket' | 'output' | 'file' | 'bridge' | 'tap';

export interface NameInWords {
  readonly name: string;
  readonly kind: NameKind;
  /** The options that name it, for people: `-drive file`. */
  readonly option: string;
}

/** The bridge of QEMU that nobody named another one (DEFAULT_BRIDGE_INTERFACE, include/net/net.h). */
export const usualBridge = 'br0';

/** One value of an option. */
interface Value {
  readonly option: string;
  /** Empty for a value without one. */
  readonly key: string;
  readonly text: string;
  /** All values of the option. */
  readonly options: Options;
  readonly isJson: boolean;
}

/** @returns the value that takes its place, or the same */
type Visit = (value: Value) => string;

/** Options whose value is the path itself: QEMU reads no commas in it (system/vl.c). */
const wholeDisks = ['-hda', '-hdb', '-hdc', '-hdd', '-cdrom', '-fda', '-fdb', '-pflash', '-sd', '-mtdblock'];
const wholeOutputs = ['-pidfile', '-D'];
const wholeFiles = ['-kernel', '-initrd', '-bios', '-dtb', '-shim', '-L', '-mem-path'];
const whole: ReadonlySet<string> = new Set([...wholeDisks, ...wholeOutputs, ...wholeFiles]);

/** Options whose value is for the guest or for people. */
const notOfHost: ReadonlySet<string> = new Set(['-append', '-name', '-uuid', '-cpu', '-smp', '-m', '-rtc']);

/** Options without a value: the word behind them is a disk image. */
const bare: ReadonlySet<string> = new Set([
  ...[
    '-nographic',
    '-snapshot',
    '-nodefaults',
    '-no-user-config',
    '-enable-kvm',
    '-no-reboot',
    '-no-shutdown',
  ],
  ...[
    '-S',
    '-s',
    '-daemonize',
    '-usb',
    '-full-screen',
    '-no-fd-bootchk',
    '-no-acpi',
    '-no-hpet',
    '-win2k-hack',
  ],
  ...[
    '-preconfig',
    '-only-migratable',
    '-singlestep',
    '-enable-sync-profile',
    '-xen-attach',
    '-version',
    '-h',
  ],
]);

const netdevs: ReadonlySet<string> = new Set(['-netdev', '-nic', '-net']);

/**
 * The names, each once, in the order of the command line.
 *
 * @param words after the program's name
 * @param preserved ids of the backends whose memory is preserved: their files are not opened again
 */
export function namesIn(words: readonly string[], preserved: ReadonlySet<string>): NameInWords[] {
  const found = new Map<string, NameInWords>();
  eachName(words, preserved, ({ name, kind, option }) => {
    const before = found.get(name);
    const isNew = !before?.option.split(', ').includes(option);
    const all = before && isNew ? `${before.option}, ${option}` : (before?.option ?? option);
    found.set(name, { name, kind: before?.kind ?? kind, option: all });
    return name;
  });
  return [...found.values()];
}

/**
 * The command line with other names, all put in at once.
 *
 * @param names the new name of each old one
 */
export function withNames(
  words: readonly string[],
  names: ReadonlyMap<string, string>,
  preserved: ReadonlySet<string>,
): string[] {
  return eachName(words, preserved, ({ name }) => names.get(name) ?? name);
}

function eachName(
  words: readonly string[],
  preserved: ReadonlySet<string>,
  visit: (found: NameInWords) => string,
): string[] {
  const ofValue: Visit = (value) => {
    const { option, key, text } = value;
    const shown = key === '' || key === firstKeys[option] ? option || 'a disk image' : `${option} ${key}`;
    const kind = interfaceKind(value);
    if (kind !== null) return visit({ name: text, kind, option: shown });
    const [, prefix = '', name] = /^((?:unix|file|pipe):)?(\/.*)$/s.exec(text) ?? [];
    if (name === undefined || isDescriptor(name) || isPreserved(value, preserved)) return text;
    return prefix + visit({ name, kind: pathKind(value, prefix), option: shown });
  };
  return words.map((word, index) => {
    const before = (words[index - 1] ?? '').replace(/^--/, '-');
    const option = before.startsWith('-') && !bare.has(before) ? before : '';
    if (word.startsWith('-') || notOfHost.has(option)) return word;
    // A word that belongs to no option is a disk image.
    if (option === '' || whole.has(option))
      return ofValue({ option, key: '', text: word, options: new Map(), isJson: false });
    const options = readOptions(word, firstKeys[option]);
    if (word.startsWith('{')) return isJson(word) ? inJson(word, option, options, ofValue) : word;
    return inPairs(word, option, options, ofValue);
  });
}

function inPairs(word: string, option: string, options: Options, visit: Visit): string {
  const parts = word.replaceAll(',,', '\0').split(',');
  const done = parts.map((part, index) => {
    const pair = part.replaceAll('\0', ',');
    const equals = pair.indexOf('=');
    if (equals < 0 && index > 0) return pair;
    const key = equals < 0 ? (firstKeys[option] ?? '') : pair.slice(0, equals);
    const head = equals < 0 ? '' : `${key}=`;
    return head + visit({ option, key, text: pair.slice(head.length), options, isJson: false });
  });
  const text = done.map((pair) => pair.replaceAll(',', ',,')).join(',');
  const bridge = unnamedBridge(option, options, visit);
  return bridge === null ? text : `${text},br=${bridge}`;
}

const jsonString = /"(?:[^"\\]|\\.)*"/gs;

/** Leaves all of the text but the strings that are replaced as it is: numbers may be longer than this language has them. */
function inJson(word: string, option: string, options: Options, visit: Visit): string {
  let key = '';
  const text = word.replace(jsonString, (quoted, at: number) => {
    const string = String(JSON.parse(quoted));
    const colon = /\s*:/y;
    colon.lastIndex = at + quoted.length;
    if (colon.test(word)) {
      key = string;
      return quoted;
    }
    const done = visit({ option, key, text: string, options, isJson: true });
    return done === string ? quoted : JSON.stringify(done);
  });
  const bridge = unnamedBridge(option, options, visit);
  return bridge === null ? text : `{"br":${JSON.stringify(bridge)},${text.slice(1)}`;
}

function isJson(word: string): boolean {
  try {
    JSON.parse(word);
    return true;
  } catch {
    return false;
  }
}

/** The bridge in place of the usual one, if nothing names it there; null if it stays. */
function unnamedBridge(option: string, options: Options, visit: Visit): string | null {
  const isBridged =
    options.get('type') === 'bridge' || (options.get('type') === 'tap' && options.has('helper'));
  if (!netdevs.has(option) || !isBridged || options.has('br')) return null;
  const name = visit({ option, key: 'br', text: usualBridge, options, isJson: false });
  return name === usualBridge ? null : name;
}

function interfaceKind({ option, key, options }: Value): 'bridge' | 'tap' | null {
  // One that was handed to it has no name here.
  if (!netdevs.has(option) || options.has('fd') || options.has('fds')) return null;
  const type = options.get('type');
  if (key === 'br' && (type === 'bridge' || type === 'tap')) return 'bridge';
  return key === 'ifname' && type === 'tap' ? 'tap' : null;
}

function pathKind({ option, key, options, isJson: json }: Value, prefix: string): NameKind {
  const last = key.split('.').at(-1) ?? '';
  if (option === '' || wholeDisks.includes(option)) return 'disk';
  if (['-drive', '-blockdev'].includes(option) && ['file', 'filename'].includes(last)) return 'disk';
  if (last === 'logfile' || wholeOutputs.includes(option) || prefix === 'file:') return 'output';
  if (option === '-object' && options.get('qom-type') === 'filter-dump') return 'output';
  if (prefix === 'unix:') return option === '-vnc' || isServer(options) ? 'socket' : 'file';
  if (option !== '-chardev') return 'file';
  if (options.get('backend') === 'file' || last === 'out') return 'output';
  return last === 'path' && isServer(options, json ? 'on' : 'off') ? 'socket' : 'file';
}

/** Paths that lead to what a process has open, or to the kernel: another one is another thing. */
const isDescriptor = (path: string): boolean => /^\/(proc|sys|dev\/fd|dev\/fdset)(\/|$)/.test(path);

const isPreserved = ({ option, key, options }: Value, preserved: ReadonlySet<string>): boolean =>
  option === '-object' && key === 'mem-path' && preserved.has(options.get('id') ?? '');
