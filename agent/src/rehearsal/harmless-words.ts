// SPDX-License-Identifier: Apache-2.0
/**
 * The command line of a VMM that is started beside the running one of the same machine, and does nothing to it. Sockets and
 * files that it makes are elsewhere. Its memory is a private view. Its disks keep their words: QEMU opens those
 * of a machine whose state comes later for reading only. The unit allows it no more (`units/rehearsal-unit.ts`).
 *
 * What reaches something that the running VMM uses, or cannot be known not to, is a reason not to rehearse. The unit keeps
 * harm away in any case. But a VMM that fails because of its unit would be said to fail in the next kernel.
 */
import { visible } from '../host/plain-words.ts';
import {
  fillsMemory,
  firstKeys,
  isServer,
  type Options,
  optionOf,
  readOptions,
  shortDevices,
  wholeDisks,
} from '../qemu/command-line.ts';
import { namesIn, withNames } from '../qemu/named-in-words.ts';
import { withPrivateMemory } from '../qemu/private-memory.ts';
import { allPairs, isLocal, whyNoDisk } from './disk-words.ts';

export interface Tap {
  readonly name: string;
  readonly queues: number;
}

export interface HarmlessWords {
  readonly words: string[];
  /** Where its monitor listens. */
  readonly monitor: string;
  /** Names that it has in place of those of the running one. */
  readonly moved: ReadonlyMap<string, string>;
  /** Its taps by name: they must be made for it, where it is. */
  readonly taps: readonly Tap[];
  /** What is not as it will be, for people. */
  readonly left: string[];
}

export interface HarmlessOptions {
  readonly words: readonly string[];
  /** The machine's monitor, as its words name it. */
  readonly monitor: string;
  /** Backends whose memory is handed over. */
  readonly backends: ReadonlySet<string>;
  /** Where the VMM may make sockets and files. */
  readonly directory: string;
  /** Whether its QEMU can have a private view of a file that it only reads. */
  readonly isPrivate: boolean;
}

/** Why a machine cannot be rehearsed. */
export class NotRehearsable extends Error {
  override readonly name = 'NotRehearsable';
}

/** @throws NotRehearsable with every reason */
export function harmlessWords({
  words,
  monitor,
  backends,
  directory,
  isPrivate,
}: HarmlessOptions): HarmlessWords {
  const names = namesIn(words, backends);
  const made = names.filter(({ kind }) => kind === 'socket' || kind === 'output');
  const moved = new Map(made.map(({ name }, number) => [name, `${directory}/made${number}`]));
  const own = moved.get(monitor);
  const reasons = [...words.keys()].flatMap((index) => whyNot(words, index) ?? []);
  if (own === undefined)
    reasons.push(`the path of its monitor, ${visible(monitor)}, is not on its command line`);
  const given = names.filter(({ kind }) => kind === 'file').filter(({ option }) => reaching.test(option));
  reasons.push(
    ...given.map(({ name, option }) => `it uses ${visible(name)} (${option}), as the running one does`),
  );
  if (own === undefined || reasons.length > 0) throw new NotRehearsable([...new Set(reasons)].join('; '));
  const isFilled = fillsMemory(words);
  const nets = words.flatMap((word, index) => (isTap(words, index) ? [readOptions(word, 'type')] : []));
  const left = [
    ...(isFilled ? ['its memory is not filled or locked beforehand'] : []),
    ...(nets.length > 0 ? ['its tap is another one, and is on no bridge'] : []),
  ];
  const harmless = withNames(words, moved, backends)
    .filter((word) => !/^--?mem-prealloc$/.test(word))
    .map((word, index, all) => (isTap(all, index) ? withoutScripts(word) : word));
  return {
    // The last one counts.
    words: [...withPrivateMemory(harmless, isPrivate), ...(isFilled ? ['-overcommit', 'mem-lock=off'] : [])],
    monitor: own,
    moved,
    taps: nets.flatMap(tapOf),
    left,
  };
}

/** Options that lead to something outside by a path, which a second VMM would use as well. */
const reaching =
  /^-(chardev|serial|parallel|monitor|qmp|qmp-pretty|debugcon|gdb|spice|audiodev|trace|tpmdev)\b/;

const networks: ReadonlySet<string> = new Set(['-netdev', '-nic', '-net']);

const isTap = (words: readonly string[], index: number): boolean =>
  networks.has(optionOf(words, index)) && readOptions(words[index] ?? '', 'type').get('type') === 'tap';

/** One without a name is made by QEMU. */
const tapOf = (net: Options): Tap[] => {
  const name = net.get('ifname');
  return name === undefined ? [] : [{ name, queues: Number(net.get('queues') ?? 1) || 1 }];
};

const withoutScripts = (netdev: string): string =>
  netdev.startsWith('{')
    ? JSON.stringify({ ...JSON.parse(netdev), script: 'no', downscript: 'no' })
    : `${netdev},script=no,downscript=no`;

/** Options of which no value reaches anything outside, but files that are read. */
const plain: ReadonlySet<string> = new Set(
  [
    'name m smp cpu accel machine M enable-kvm nodefaults no-user-config nographic no-reboot no-shutdown no-acpi',
    'no-hpet no-fd-bootchk action boot rtc uuid k append kernel initrd dtb bios shim L global set mon msg sandbox',
    'overcommit vga usb numa smbios acpitable fw_cfg option-rom icount watchdog watchdog-action only-migratable compat',
    'echr D d dfilter seed prom-env semihosting device object drive blockdev chardev serial parallel monitor qmp',
    'qmp-pretty debugcon gdb netdev nic net display vnc spice audiodev trace pidfile hda hdb hdc hdd cdrom fda fdb',
    'pflash sd mtdblock fsdev virtfs tpmdev mem-prealloc full-screen win2k-hack singlestep enable-sync-profile',
    'no-kvm-irqchip nodefconfig version run-with chroot',
  ]
    .join(' ')
    .split(' ')
    .map((name) => `-${name}`),
);

type Rule = (options: Options, word: string) => string | null;

const notFor = (options: Options, key: string, allowed: readonly string[], what: string): string | null => {
  const value = options.get(key) ?? '';
  return allowed.includes(value)
    ? null
    : `${what} ${visible(value || 'of the usual kind')} may reach what the running one uses`;
};

/** Why a character device cannot be had twice; null if it can. */
const whyNoDevice: Rule = (options) => {
  const backend = options.get('backend') ?? '';
  if (backend !== 'socket') return notFor(options, 'backend', harmlessBackends, 'its character device');
  const path = options.get('path');
  const isAbstract = ['on', 'yes', 'true', 'y'].includes(options.get('abstract') ?? 'off');
  if (!isServer(options))
    return `it connects to ${visible(path ?? options.get('host') ?? 'a socket')}, as the running one does`;
  return path === undefined || isAbstract || path.startsWith('/')
    ? null
    : `the path of its socket ${visible(path)} is not absolute`;
};
const harmlessBackends = [
  ...[
    'null',
    'stdio',
    'pty',
    'vc',
    'ringbuf',
    'memory',
    'file',
    'msmouse',
    'testdev',
    'spicevmc',
    'spiceport',
  ],
  'qemu-vdagent',
];

/** Of a character device in short: the kinds that are had by a second VMM as well. */
const whyNoShort: Rule = (_options, word) => {
  const short = word.replace(/^mon:/, '');
  if (/^(chardev:|none$|null$|stdio$|vc|pty$|file:\/|pty:\/)/.test(short)) return null;
  const listens = /^(unix:\/|tcp:|telnet:|websocket:)/.test(short) && isServer(readOptions(short, 'path'));
  return listens ? null : `it connects to ${visible(word)}, or may`;
};

const whyNoNet: Rule = (options) => {
  const type = options.get('type') ?? '';
  if (type === 'user' && (options.has('guestfwd') || options.has('smb')))
    return 'its network starts other programs, or reaches others';
  if (type !== 'tap') return notFor(options, 'type', ['user', 'none', 'hubport', 'nic'], 'its network');
  const isHelped = options.has('helper') || options.has('br');
  return isHelped ? 'its tap comes from a helper, on a bridge of the host' : null;
};

/** Devices of which there is one for all, or that another program serves. */
const sharedDevice =
  /^(vfio-|vhost-|usb-host|ivshmem-doorbell|scsi-(block|generic)|x-|pci-assign|xen-|virtio-.*-vhost)/;
const sharedObject =
  /^(input-linux|input-barrier|can-host-|cryptodev-vhost|pr-manager|iommufd|x-|dbus-|qtest|vfio-|rng-egd|filter-redirector)/;
const sharedDisplay = /^(gtk|sdl|curses|dbus|spice-app|cocoa)/;

const whyRelative: Rule = (_options, word) =>
  word.startsWith('/') ? null : `the path ${visible(word)}, which it writes, is not absolute`;

const whyShared = (shared: RegExp, name: string, what: string): string | null =>
  shared.test(name) ? `its ${what} ${visible(name.split(',')[0] ?? '')} may be had once only` : null;

const whyNoBlock: Rule = (_options, word) => whyNoDisk(allPairs(word));

const rules: Readonly<Record<string, Rule>> = {
  '-chardev': whyNoDevice,
  '-netdev': whyNoNet,
  '-nic': whyNoNet,
  '-net': whyNoNet,
  '-drive': whyNoBlock,
  '-blockdev': whyNoBlock,
  '-device': (options) => whyShared(sharedDevice, options.get('driver') ?? '', 'device'),
  '-object': (options) => whyShared(sharedObject, options.get('qom-type') ?? '', 'object'),
  '-display': (_options, word) => whyShared(sharedDisplay, word, 'display'),
  '-audiodev': (options) => notFor(options, 'driver', ['none'], 'its sound'),
  '-tpmdev': (options) => notFor(options, 'type', [], 'its TPM'),
  '-fsdev': (options) => notFor(options, 'fsdriver', ['local', 'synth'], 'its shared directory'),
  '-virtfs': (options) => notFor(options, 'fsdriver', ['local', 'synth'], 'its shared directory'),
  '-icount': (options) => (options.has('rr') ? 'it records or replays its guest' : null),
  '-vnc': (options) => (options.has('reverse') ? 'its display connects to a viewer' : null),
  '-pidfile': whyRelative,
  '-D': whyRelative,
};

const moreFirstKeys: Readonly<Record<string, string>> = {
  ...{ '-audiodev': 'driver', '-tpmdev': 'type', '-fsdev': 'fsdriver', '-virtfs': 'fsdriver' },
};

const descriptorKeys = ['fd', 'fds', 'vhostfd', 'vhostfds', 'sock-fd'];

/** Why a word stands in the way of a second VMM; null if it does not. */
function whyNot(words: readonly string[], index: number): string | null {
  const word = words[index] ?? '';
  const option = optionOf(words, index);
  if (word.startsWith('-')) {
    const name = word.replace(/^--/, '-');
    return plain.has(name) ? null : `it is not known what a second VMM does with ${visible(name)}`;
  }
  if (option === '' || wholeDisks.includes(option))
    return isLocal(word) ? null : `its disk ${visible(word)} is no file or block device`;
  if (shortDevices.has(option)) return whyNoShort(new Map(), word);
  const options = readOptions(word, firstKeys[option] ?? moreFirstKeys[option]);
  if (allPairs(word).some(([key]) => descriptorKeys.includes(key)) || word.includes('/dev/fdset/'))
    return `a descriptor was handed to it (${option})`;
  return rules[option]?.(options, word) ?? whyRelativeFile(option, options);
}

/** A file that is written: what stands in its directory is not known here. */
function whyRelativeFile(option: string, options: Options): string | null {
  const log = options.get('logfile');
  if (log !== undefined && !log.startsWith('/')) return whyRelative(options, log);
  if (option === '-chardev' && options.get('backend') === 'file')
    return whyRelative(options, options.get('path') ?? '');
  return null;
}
