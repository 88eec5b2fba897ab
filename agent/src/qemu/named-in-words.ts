// SPDX-License-Identifier: Apache-2.0
/**
 * What a command line of QEMU names of its host, and the same command line with other names. These are paths of disks,
 * sockets and other files, bridges and taps. A name is a whole value of an option, alone or behind `unix:`, `file:` or
 * `pipe:`; nothing inside a value is ever replaced. A guest's owner may have chosen the words: they are only read as
 * text, in time proportional to their length. What a file of `-readconfig` names is not looked at.
 *
 * QEMU reads a comma in three ways. In JSON, and where a value is taken as it is, it is a comma. Among options it must be
 * doubled. So a new name is written as its option reads it, or refused.
 */
import {
  firstKeys,
  isServer,
  type Options,
  optionOf,
  readOptions,
  shortDevices,
  takenWhole,
  wholeDisks,
  wholeOutputs,
} from './command-line.ts';

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

/** A new name that cannot be written where the old one is. */
export class UnwritableName extends Error {
  override readonly name = 'UnwritableName';
  readonly value: string;
  /** What could be, in words. */
  readonly expected: string;
  constructor(value: string, expected: string) {
    super(`"${value}": expected ${expected}`);
    this.value = value;
    this.expected = expected;
  }
}

/** One value of an option. */
interface Value {
  readonly option: string;
  /** Empty for a value without one. */
  readonly key: string;
  /** Whether the key need not be written. */
  readonly isFirst: boolean;
  /** What stands before the text in its word, for example `mon:file:`. */
  readonly before: string;
  readonly text: string;
  /** All values of the option. */
  readonly options: Options;
  readonly isJson: boolean;
}

/** @returns the value that takes its place, or the same */
type Visit = (value: Value) => string;

/** A word of options between commas, or the part of one that is. */
interface Pairs {
  readonly option: string;
  readonly options: Options;
  /** What the first value is called without a key. */
  readonly firstKey: string;
  readonly before: string;
}

/**
 * Options whose value is options between commas, with a comma of a value doubled (`get_opt_value`, util/qemu-option.c;
 * `keyval_parse_one`, util/keyval.c). Of others that is not known.
 */
const inPairsOnly: ReadonlySet<string> = new Set([
  ...['-drive', '-blockdev', '-chardev', '-device', '-object', '-netdev', '-nic', '-net', '-machine', '-M'],
  ...['-vnc', '-spice', '-display', '-fsdev', '-virtfs', '-tpmdev', '-audiodev', '-fw_cfg', '-smbios'],
  ...['-acpitable', '-option-rom', '-plugin', '-trace', '-boot', '-accel', '-semihosting-config'],
]);

/** Options whose value is for the guest or for people. */
const notOfHost: ReadonlySet<string> = new Set(['-append', '-name', '-uuid', '-cpu', '-smp', '-m', '-rtc']);

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
 * @throws UnwritableName
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
    const { option, key, text, before, isFirst } = value;
    const shown = isFirst ? option || 'a disk image' : `${option} ${key}`;
    const kind = interfaceKind(value);
    if (kind !== null) return visit({ name: text, kind, option: shown });
    const [, prefix = '', name] = /^((?:unix|file|pipe):)?(\/.*)$/s.exec(text) ?? [];
    if (name === undefined || isDescriptor(name) || isPreserved(value, preserved)) return text;
    return prefix + visit({ name, kind: pathKind(value, prefix || before), option: shown });
  };
  return words.map((word, index) => {
    const option = optionOf(words, index);
    if (word.startsWith('-') || notOfHost.has(option)) return word;
    const begins = takenWhole(option, word);
    if (begins !== null) return asItIs(word, option, begins, ofValue);
    const [before] = /^(?:mon:)?unix:/.exec(shortDevices.has(option) ? word : '') ?? [''];
    const firstKey = before === '' ? (firstKeys[option] ?? '') : 'path';
    const rest = word.slice(before.length);
    const options = readOptions(rest, firstKey);
    if (word.startsWith('{')) return isJson(word) ? inJson(word, option, options, ofValue) : word;
    return before + inPairs(rest, { option, options, firstKey, before }, ofValue);
  });
}

function asItIs(word: string, option: string, begins: number, visit: Visit): string {
  const [before, text] = [word.slice(0, begins), word.slice(begins)];
  const done = visit({
    ...{ option, key: '', isFirst: true, before, text },
    ...{ options: new Map(), isJson: false },
  });
  // Of a multiboot kernel it is several files between commas (`mb_add_mod`, hw/i386/multiboot.c).
  if (done !== text && done.includes(',') && option === '-initrd')
    throw new UnwritableName(done, 'a path without a comma: QEMU may take it for several files at -initrd');
  return before + done;
}

function inPairs(word: string, { option, options, firstKey, before }: Pairs, visit: Visit): string {
  const parts = word.replaceAll(',,', '\0').split(',');
  const done = parts.map((part, index) => {
    const pair = part.replaceAll('\0', ',');
    const equals = pair.indexOf('=');
    if (equals < 0 && index > 0) return pair;
    const isFirst = equals < 0;
    const key = isFirst ? firstKey : pair.slice(0, equals);
    const head = isFirst ? '' : `${key}=`;
    const old = pair.slice(head.length);
    const next = visit({ option, key, isFirst, before, text: old, options, isJson: false });
    if (next === old) return pair;
    if (next.includes(',') && before === '' && !inPairsOnly.has(option))
      throw new UnwritableName(
        next,
        `a path without a comma: it is not known how QEMU reads one at ${option}`,
      );
    // QEMU would take what is before the sign for the key (`get_opt_name_value`, util/qemu-option.c).
    if (isFirst && next.includes('=') && key === '')
      throw new UnwritableName(next, `a path without "=", which QEMU reads as the end of a key at ${option}`);
    return isFirst && next.includes('=') ? `${key}=${next}` : head + next;
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
    const done = visit({ option, key, isFirst: false, before: '', text: string, options, isJson: true });
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
  const name = visit({
    ...{ option, key: 'br', isFirst: false, before: '', text: usualBridge },
    ...{ options, isJson: false },
  });
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
  if (last === 'logfile' || wholeOutputs.includes(option) || /^(mon:)?(file|pty):$/.test(prefix))
    return 'output';
  if (option === '-object' && options.get('qom-type') === 'filter-dump') return 'output';
  if (prefix.endsWith('unix:')) return option === '-vnc' || isServer(options) ? 'socket' : 'file';
  if (option !== '-chardev') return 'file';
  if (options.get('backend') === 'file' || last === 'out') return 'output';
  return last === 'path' && isServer(options, json ? 'on' : 'off') ? 'socket' : 'file';
}

/** Paths that lead to what a process has open, or to the kernel: another one is another thing. */
const isDescriptor = (path: string): boolean => /^\/(proc|sys|dev\/fd|dev\/fdset)(\/|$)/.test(path);

const isPreserved = ({ option, key, options }: Value, preserved: ReadonlySet<string>): boolean =>
  option === '-object' && key === 'mem-path' && preserved.has(options.get('id') ?? '');
