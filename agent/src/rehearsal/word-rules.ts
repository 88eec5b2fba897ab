// SPDX-License-Identifier: Apache-2.0
/**
 * Which words of a running VMM a second one may have. What reaches something that the running one uses is refused. So is
 * what is not known: an option, an object, or a path whose option may do more than read it.
 */
import { visible } from '../host/plain-words.ts';
import {
  firstKeys,
  isServer,
  type Options,
  optionOf,
  readOptions,
  shortDevices,
  wholeDisks,
} from '../qemu/command-line.ts';
import { namesIn } from '../qemu/named-in-words.ts';
import { allPairs, isLocal, whyNoDisk } from './disk-words.ts';

const listed = (...lines: string[]): ReadonlySet<string> => new Set(lines.join(' ').split(' '));

/** Options of which no value reaches anything outside, but files that are read. */
const plain = listed(
  'name m smp cpu accel machine M enable-kvm nodefaults no-user-config nographic no-reboot no-shutdown no-acpi',
  'no-hpet no-fd-bootchk action boot rtc uuid k append kernel initrd dtb bios shim L global mon msg sandbox',
  'overcommit vga usb numa smbios acpitable fw_cfg option-rom icount watchdog watchdog-action only-migratable compat',
  'echr D d dfilter seed prom-env semihosting device object drive blockdev chardev serial parallel monitor qmp',
  'qmp-pretty debugcon gdb netdev nic net display vnc spice audiodev trace pidfile hda hdb hdc hdd cdrom fda fdb',
  'pflash sd mtdblock fsdev virtfs tpmdev mem-prealloc full-screen win2k-hack singlestep enable-sync-profile',
  'no-kvm-irqchip nodefconfig version run-with',
);

/** Keys of options whose paths are only read; null for all of them. A directory of 9p is written by a guest that runs only. */
const read: Readonly<Record<string, RegExp | null>> = {
  ...{ '-kernel': null, '-initrd': null, '-dtb': null, '-bios': null, '-shim': null, '-L': null, '-k': null },
  ...{ '-acpitable': null, '-smbios': null, '-fw_cfg': null, '-option-rom': null, '-boot': null },
  ...{ '-machine': /^(kernel|initrd|dtb|shim|firmware)$/, '-M': /^(kernel|initrd|dtb|shim|firmware)$/ },
  ...{ '-accel': /^device$/, '-fsdev': /^path$/, '-virtfs': /^path$/, '-device': /^(romfile|file)$/ },
  ...{ '-object': /^(filename|dir|file)$/, '-vnc': /^tls-creds$/ },
  ...{ '-netdev': /^(tftp|bootfile|script|downscript)$/, '-nic': /^(tftp|bootfile|script|downscript)$/ },
  '-net': /^(tftp|bootfile|script|downscript)$/,
};

/** Objects that reach nothing but what other options name. */
const objects = listed(
  'memory-backend-ram memory-backend-file memory-backend-memfd memory-backend-shm iothread thread-context main-loop',
  'throttle-group secret secret_keyring tls-creds-anon tls-creds-psk tls-creds-x509 tls-cipher-suites authz-simple',
  'authz-list authz-list-file authz-pam rng-random rng-builtin cryptodev-backend cryptodev-backend-builtin can-bus',
  'filter-buffer filter-dump filter-mirror filter-replay filter-rewriter acpi-generic-initiator acpi-generic-port',
);

/** Devices of which there is one for all, or that another program serves. */
const sharedDevice =
  /^(vfio-|vhost-|usb-host|usb-mtp|ivshmem-doorbell|scsi-(block|generic)|x-|pci-assign|xen-|pvrdma|virtio-input-host|virtio-.*-vhost|u2f-passthru|ccid-card-emulated|virtio-.*-(gl|rutabaga)\b)/;

const characterDevices = listed(
  'null stdio pty vc ringbuf memory file msmouse testdev spicevmc spiceport qemu-vdagent',
);

/** Null if a second VMM can have it. */
type Rule = (word: string, options: Options) => string | null;

const mayReach = (what: string, value: string): string =>
  `${what} ${visible(value || 'of the usual kind')} may reach what the running one uses`;

const oneOf =
  (allowed: ReadonlySet<string>, key: string, what: string): Rule =>
  (word, options) => {
    // Of an object in an object as well: which of the two QEMU would take is its own affair.
    const named = allPairs(word, key).flatMap(([each, value]) => (each === key ? [value] : []));
    const value = (named.length === 0 ? [options.get(key) ?? ''] : named).find((each) => !allowed.has(each));
    return value === undefined ? null : mayReach(what, value);
  };

const notAbsolute = (path: string): string | null =>
  path.startsWith('/') ? null : `the path ${visible(path)}, which it writes, is not absolute`;

const whyNoCharacterDevice: Rule = (word, options) => {
  const backend = options.get('backend') ?? '';
  const path = options.get('path');
  if (backend !== 'socket') {
    const why = oneOf(characterDevices, 'backend', 'its character device')(word, options);
    // It would be looked for where the other file is made.
    if (why === null && options.has('input-path'))
      return mayReach('its input', options.get('input-path') ?? '');
    return why ?? (backend === 'file' ? notAbsolute(path ?? '') : null);
  }
  const isAbstract = ['on', 'yes', 'true', 'y'].includes(options.get('abstract') ?? 'off');
  if (!isServer(options))
    return `it connects to ${visible(path ?? options.get('host') ?? 'a socket')}, as the running one does`;
  return path === undefined || isAbstract || path.startsWith('/')
    ? null
    : `the path of its socket ${visible(path)} is not absolute`;
};

/** Of a character device in short: the kinds that are had by a second VMM as well. */
const whyNoShort = (word: string): string | null => {
  const short = word.replace(/^mon:/, '');
  if (/^(chardev:|none$|null$|stdio$|vc|pty$|file:\/|pty:\/)/.test(short)) return null;
  const listens = /^(unix:\/|tcp:|telnet:|websocket:)/.test(short) && isServer(readOptions(short, 'path'));
  return listens ? null : `it connects to ${visible(word)}, or may`;
};

const networkTypes = listed('user none hubport nic tap');

const whyNoNet: Rule = (word, options) => {
  if (options.has('guestfwd') || options.has('smb'))
    return 'its network starts other programs, or reaches others';
  const why = oneOf(networkTypes, 'type', 'its network')(word, options);
  const isHelped = options.has('helper') || options.has('br');
  return why ?? (isHelped ? 'its tap comes from a helper, on a bridge of the host' : null);
};

const whyNoDeviceOf: Rule = (word, options) => {
  const drivers = allPairs(word, 'driver').flatMap(([key, value]) => (key === 'driver' ? [value] : []));
  const shared = drivers.find((driver) => sharedDevice.test(driver));
  if (shared !== undefined) return `its device ${visible(shared)} may be had once only`;
  return options.has('blob')
    ? mayReach('its device', `${options.get('driver')} with blob, for /dev/udmabuf,`)
    : null;
};

const whyNoObject: Rule = (word, options) =>
  oneOf(objects, 'qom-type', 'its object')(word, options) ??
  (options.get('qom-type') === 'filter-dump' ? notAbsolute(options.get('file') ?? '') : null);

const none = listed('none');
const local = listed('local synth');
const whyNoShared = oneOf(local, 'fsdriver', 'its shared directory');
const whyNoMachine: Rule = (_word, options) => (options.has('dumpdtb') ? 'it writes its device tree' : null);

const rules: Readonly<Record<string, Rule>> = {
  '-chardev': whyNoCharacterDevice,
  ...{ '-netdev': whyNoNet, '-nic': whyNoNet, '-net': whyNoNet },
  '-drive': (word) => whyNoDisk(allPairs(word)),
  '-blockdev': (word) => whyNoDisk(allPairs(word, 'driver')),
  '-device': whyNoDeviceOf,
  '-object': whyNoObject,
  '-display': oneOf(listed('none vnc'), 'type', 'its display'),
  '-audiodev': oneOf(none, 'driver', 'its sound'),
  '-tpmdev': oneOf(new Set(), 'type', 'its TPM'),
  ...{ '-fsdev': whyNoShared, '-virtfs': whyNoShared },
  ...{ '-machine': whyNoMachine, '-M': whyNoMachine },
  '-icount': (_word, options) => (options.has('rr') ? 'it records or replays its guest' : null),
  '-vnc': (word, options) =>
    options.has('reverse')
      ? 'its display connects to a viewer'
      : /^(vnc=)?unix:(?!\/)/.test(word)
        ? `the path of its socket ${visible(word)} is not absolute`
        : null,
  // A relative path is not seen as one.
  '-spice': (word, options) =>
    options.has('gl') || options.has('unix') ? mayReach('its display', `spice ${word}`) : null,
  '-trace': (_word, options) => (options.has('file') ? 'it writes a trace' : null),
  // The agent's sockets are not below another root.
  '-run-with': (_word, options) =>
    options.has('chroot') || options.has('user')
      ? mayReach('its root or user', [...options.keys()].join(', '))
      : null,
  ...{ '-pidfile': notAbsolute, '-D': notAbsolute },
};

const moreFirstKeys: Readonly<Record<string, string>> = {
  ...{ '-audiodev': 'driver', '-tpmdev': 'type', '-fsdev': 'fsdriver', '-virtfs': 'fsdriver' },
};

/** Options whose value is for the guest, for people, or a name of QEMU's. */
const isText = listed('-append -name -uuid -cpu -smp -m -rtc -prom-env');

const descriptorKeys = listed('fd fds vhostfd vhostfds sock-fd');
const descriptorPath = /\/(proc\/(self|thread-self|\d+)\/(task\/\d+\/)?fd|dev\/(fd|fdset))\//;

/** Why a word stands in the way of a second VMM; null if it does not. */
export function whyNot(words: readonly string[], index: number): string | null {
  const word = words[index] ?? '';
  const option = optionOf(words, index);
  if (word.startsWith('-')) {
    const name = word.replace(/^--?/, '');
    return plain.has(name) ? null : `it is not known what a second VMM does with ${visible(`-${name}`)}`;
  }
  if (isText.has(option)) return null;
  if (word.startsWith('{') && !isJson(word))
    return `it is not known how QEMU reads ${visible(word.slice(0, 40))} (${option})`;
  const firstKey = firstKeys[option] ?? moreFirstKeys[option] ?? '';
  const options = readOptions(word, firstKey);
  // It opens no file but one that is handed to it (`qemu/private-memory.ts`).
  if (option === '-object' && options.get('qom-type') === 'memory-backend-file') return null;
  if (allPairs(word, firstKey).some(([key]) => descriptorKeys.has(key)) || descriptorPath.test(word))
    return `a descriptor was handed to it (${option})`;
  if (option === '' || wholeDisks.includes(option))
    return isLocal(word) ? null : `its disk ${visible(word)} is no file or block device`;
  if (shortDevices.has(option)) return whyNoShort(word) ?? whyNoPath(option, word);
  const log = options.get('logfile');
  return (
    rules[option]?.(word, options) ?? (log === undefined ? null : notAbsolute(log)) ?? whyNoPath(option, word)
  );
}

/** Why a path of a word may lead to what the running VMM uses: it is not known to be only read. */
function whyNoPath(option: string, word: string): string | null {
  const keys = read[option];
  const given = namesIn([option, word], new Set()).filter(
    ({ kind, option: named }) =>
      kind === 'file' &&
      keys !== null &&
      !named.split(', ').every((each) => keys?.test(each.split(' ')[1] ?? firstKeys[option] ?? '')),
  );
  const [first] = given;
  return first === undefined
    ? null
    : `it uses ${visible(first.name)} (${first.option}), as the running one does`;
}

function isJson(word: string): boolean {
  try {
    JSON.parse(word);
    return true;
  } catch {
    return false;
  }
}
