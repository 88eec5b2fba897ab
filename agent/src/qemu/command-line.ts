// SPDX-License-Identifier: Apache-2.0
/**
 * What QEMU's command line says about a machine, as `/proc/PID/cmdline` shows it: its name, size, accelerator, memory
 * files, disks and monitors. Options of QEMU are `key=value` pairs between commas; a doubled comma is part of the
 * value. `-object`, `-chardev`, `-blockdev` and `-device` may also be JSON. Options that are not understood are
 * skipped: the command line is a hint, the process is the fact.
 */

/** A monitor's socket: a path it was told to listen on, or a descriptor that was handed to it. */
export type MonitorSocket = { readonly path: string } | { readonly fd: number };

export interface QemuCommandLine {
  readonly name: string | null;
  readonly vcpus: number | null;
  /** Bytes. */
  readonly memory: number | null;
  readonly accelerator: string | null;
  /** Sockets of QMP monitors that QEMU listens on. */
  readonly monitors: readonly MonitorSocket[];
  /** Files that options name, such as disks and memory. */
  readonly files: ReadonlySet<string>;
  /** Host PCI addresses of its VFIO devices, as they were given. */
  readonly pciAddresses: readonly string[];
  /** Ids of its devices. */
  readonly deviceIds: ReadonlySet<string>;
}

export type Options = ReadonlyMap<string, string>;

/** Reads `a,b=c,,d` as a → '', b → 'c,d'; JSON objects likewise, nested ones under their own keys. */
export function readOptions(text: string, firstKey = ''): Options {
  const options = new Map<string, string>();
  if (text.startsWith('{')) {
    try {
      enter(options, JSON.parse(text) as unknown);
    } catch {
      // Not JSON after all.
    }
    return options;
  }
  for (const [index, pair] of text.replaceAll(',,', '\0').split(',').entries()) {
    const part = pair.replaceAll('\0', ',');
    const equals = part.indexOf('=');
    if (equals >= 0) options.set(part.slice(0, equals), part.slice(equals + 1));
    else if (index === 0 && firstKey !== '') options.set(firstKey, part);
    else options.set(part, '');
  }
  return options;
}

function enter(options: Map<string, string>, value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, each] of Object.entries(value)) {
    if (typeof each === 'object') enter(options, each);
    else options.set(key, String(each));
  }
}

/** Options whose value is the path itself: QEMU reads no commas in it (system/vl.c). */
export const wholeDisks = [
  ...['-hda', '-hdb', '-hdc', '-hdd', '-cdrom', '-fda', '-fdb', '-pflash', '-sd', '-mtdblock'],
];
export const wholeOutputs = ['-pidfile', '-D', '-dump-vmstate'];
const wholeFiles = ['-kernel', '-initrd', '-bios', '-dtb', '-shim', '-L', '-mem-path', '-readconfig'];
const whole: ReadonlySet<string> = new Set([...wholeDisks, ...wholeOutputs, ...wholeFiles]);

/** Options whose value is a character device in short (`qemu_chr_parse_compat`, chardev/char.c). */
export const shortDevices: ReadonlySet<string> = new Set([
  ...['-serial', '-parallel', '-monitor', '-qmp', '-qmp-pretty', '-debugcon', '-gdb'],
]);

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
    '-mem-prealloc',
    '-semihosting',
    '-no-kvm-irqchip',
    '-nodefconfig',
    '-version',
    '-h',
  ],
]);

/** The option whose value a word is; empty if there is none, and the word is an option or a disk image. */
export function optionOf(words: readonly string[], index: number): string {
  const before = (words[index - 1] ?? '').replace(/^--/, '-');
  return before.startsWith('-') && !bare.has(before) ? before : '';
}

/**
 * What QEMU takes as it is of a word, whatever commas are in it.
 *
 * @param option whose value it is, as `optionOf` says
 * @returns where that begins; null if there are options between commas
 */
export function takenWhole(option: string, word: string): number | null {
  if (option === '' || whole.has(option)) return 0;
  const beginning = shortDevices.has(option)
    ? /^(?:mon:)?(?:file:|pipe:|pty:)?(?=\/)/
    : ['-set', '-global'].includes(option)
      ? /^[^.=]+\.[^=]+=/
      : null;
  return beginning?.exec(word)?.[0].length ?? null;
}

const units: Readonly<Record<string, number>> = { B: 0, K: 1, M: 2, G: 3, T: 4 };

/** `64M` as bytes; a bare number is in `bare`. Null if it is not a size. */
function readSize(text: string | undefined, bare: 'M' | 'B'): number | null {
  const match = /^(\d+(?:\.\d+)?)([BKMGT]?)$/i.exec(text ?? '');
  if (!match) return null;
  const unit = (match[2] || bare).toUpperCase();
  return Math.round(Number(match[1]) * 1024 ** (units[unit] ?? 0));
}

function readCount(options: Options): number | null {
  const cpus = Number(options.get('cpus') ?? Number.NaN);
  if (Number.isInteger(cpus) && cpus > 0) return cpus;
  const names = ['sockets', 'dies', 'cores', 'threads'];
  if (!names.some((part) => options.has(part))) return null;
  const parts = names.map((part) => Number(options.get(part) ?? 1));
  const product = parts.reduce((all, part) => all * part, 1);
  return Number.isInteger(product) && product > 0 ? product : null;
}

/** Whether the options of a character device say that QEMU listens. @param usual what counts where they do not say */
export const isServer = (options: Options, usual = 'off'): boolean =>
  ['on', '', 'true', 'yes'].includes(options.get('server') ?? usual);

/** A listening socket among the options of a character device, or null. */
function listening(options: Options): MonitorSocket | null {
  const fd = Number(options.get('fd') ?? Number.NaN);
  // A descriptor that was handed in listens already, and QEMU is told so by `server=on`.
  if (!isServer(options)) return null;
  if (Number.isInteger(fd) && fd >= 0) return { fd };
  const path = options.get('path');
  return path ? { path } : null;
}

const fileKeys = ['file', 'filename', 'mem-path', 'path', 'initrd', 'kernel'];

/** Reads the words of a command line, the program first. */
export function readQemuCommandLine(words: readonly string[]): QemuCommandLine {
  const characterDevices = new Map<string, Options>();
  const monitorDevices: string[] = [];
  const monitors: MonitorSocket[] = [];
  const files = new Set<string>();
  const pciAddresses: string[] = [];
  const deviceIds = new Set<string>();
  let name: string | null = null;
  let vcpus: number | null = null;
  let memory: number | null = null;
  let accelerator: string | null = null;

  for (let index = 1; index < words.length; index += 1) {
    const option = words[index]?.replace(/^--?/, '-') ?? '';
    const value = words[index + 1];
    if (!option.startsWith('-') || value === undefined) continue;
    const options: Options =
      takenWhole(option, value) === 0
        ? new Map([[firstKeys[option] ?? '', value]])
        : readOptions(value, firstKeys[option]);
    for (const key of fileKeys) {
      const file = options.get(key);
      if (file?.startsWith('/')) files.add(file);
    }
    const deviceId = option === '-device' ? options.get('id') : undefined;
    if (deviceId) deviceIds.add(deviceId);
    if (option === '-name') name = options.get('guest') ?? name;
    else if (option === '-smp') vcpus = readCount(options);
    else if (option === '-m') memory = readSize(options.get('size'), 'M');
    else if (option === '-accel') accelerator ??= options.get('accel') ?? null;
    else if (option === '-machine' || option === '-M')
      accelerator ??= options.get('accel')?.split(':')[0] ?? null;
    else if (option === '-chardev') {
      const id = options.get('id');
      if (id !== undefined) characterDevices.set(id, options);
    } else if (option === '-mon' && options.get('mode') === 'control') {
      monitorDevices.push(options.get('chardev') ?? '');
    } else if (option === '-qmp' || option === '-qmp-pretty') {
      const rest = value.startsWith('unix:') ? readOptions(value.slice('unix:'.length), 'path') : null;
      const socket = rest && listening(rest);
      if (socket) monitors.push(socket);
    } else if (option === '-device' && options.get('driver')?.startsWith('vfio-pci')) {
      const address = options.get('host');
      if (address) pciAddresses.push(address);
    }
  }
  if (words.includes('-enable-kvm')) accelerator ??= 'kvm';
  for (const id of monitorDevices) {
    const options = characterDevices.get(id);
    const socket = options && listening(options);
    if (socket) monitors.push(socket);
  }
  return { name, vcpus, memory, accelerator, monitors, files, pciAddresses, deviceIds };
}

/** What the first, nameless value of an option is called, where the option has one. */
export const firstKeys: Readonly<Record<string, string>> = {
  '-name': 'guest',
  '-smp': 'cpus',
  '-m': 'size',
  '-accel': 'accel',
  '-machine': 'type',
  '-M': 'type',
  '-chardev': 'backend',
  '-mon': 'chardev',
  '-device': 'driver',
  '-blockdev': 'driver',
  '-display': 'type',
  '-object': 'qom-type',
  '-netdev': 'type',
  '-nic': 'type',
  '-net': 'type',
  '-hda': 'file',
  '-hdb': 'file',
  '-cdrom': 'file',
  '-kernel': 'kernel',
  '-initrd': 'initrd',
  '-vnc': 'vnc',
  '-option-rom': 'romfile',
  '-plugin': 'file',
};

const isOn = (value: string | undefined): boolean => ['on', 'yes', 'true', 'y', ''].includes(value ?? 'off');

/** Whether QEMU fills all its memory before it listens, or locks it, which does the same. */
export const fillsMemory = (words: readonly string[]): boolean =>
  words.some((word, index) => {
    const option = (words[index - 1] ?? '').replace(/^--/, '-');
    if (/^--?mem-prealloc$/.test(word)) return true;
    const options = readOptions(word);
    if (option === '-object') return isOn(options.get('prealloc'));
    return option === '-overcommit' && isOn(options.get('mem-lock')?.replace('on-fault', 'off'));
  });

/** Whether QEMU filters its own system calls. */
export const installsFilter = (words: readonly string[]): boolean =>
  words.some(
    (word, index) =>
      /^--?sandbox$/.test(words[index - 1] ?? '') && isOn(readOptions(word, 'enable').get('enable')),
  );
