// SPDX-License-Identifier: Apache-2.0
/**
 * What two VMMs of one machine cannot have at once, as its command line says. That is a port of the host, a tap, or the
 * name of an abstract socket. The old VMM is still there when the new one is started, because it is what runs on if that fails. What
 * a rehearsal refuses is not looked at again.
 */
import { visible } from '../host/plain-words.ts';
import {
  firstKeys,
  isServer,
  type Options,
  optionOf,
  readOptions,
  shortDevices,
} from '../qemu/command-line.ts';

const networks: ReadonlySet<string> = new Set(['-netdev', '-nic', '-net']);
const isOn = (value: string | undefined): boolean => ['on', '', 'yes', 'true', 'y'].includes(value ?? 'off');

function ofNetwork(options: Options): string | null {
  if (options.get('type') === 'tap') return `the tap ${visible(options.get('ifname') ?? 'that it makes')}`;
  return options.has('hostfwd') ? `the port of ${visible(options.get('hostfwd') ?? '')}` : null;
}

function ofDevice(options: Options): string | null {
  if (!isServer(options) && !options.has('port')) return null;
  const path = options.get('path');
  if (path === undefined)
    return options.has('port') ? `the port ${visible(options.get('port') ?? '')}` : null;
  return isOn(options.get('abstract')) ? `the abstract socket ${visible(path)}` : null;
}

/** A word behind an option that takes a character device in short, or the id of one. */
const ofShort = (word: string): string | null =>
  /^(mon:)?(tcp|telnet|websocket|tn3270|udp):/.test(word) ? `the port of ${visible(word)}` : null;

/** What stands in the way at one word; null if nothing does. */
function whyNot(words: readonly string[], index: number): string | null {
  const word = words[index] ?? '';
  const option = optionOf(words, index);
  if (/^--?s$/.test(word) && option === '') return 'the port 1234 for a debugger';
  if (word.startsWith('-')) return null;
  if (shortDevices.has(option)) return ofShort(word);
  if (option === '-vnc')
    return /^(none|unix:)/.test(word) ? null : `the port of its display ${visible(word)}`;
  if (option === '-spice') return `what its display listens at (${visible(word)})`;
  const options = readOptions(word, firstKeys[option] ?? (networks.has(option) ? 'type' : ''));
  if (networks.has(option)) return ofNetwork(options);
  return option === '-chardev' ? ofDevice(options) : null;
}

/** @returns what it would need twice, for people; none if its new VMM can be started beside the old one */
export const onceOnly = (words: readonly string[]): string[] => [
  ...new Set(words.flatMap((_word, index) => whyNot(words, index) ?? [])),
];
