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
import { fillsMemory, type Options, optionOf, readOptions } from '../qemu/command-line.ts';
import { namesIn, withNames } from '../qemu/named-in-words.ts';
import { withPrivateMemory } from '../qemu/private-memory.ts';
import { whyNot } from './word-rules.ts';

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
    words: [
      ...withPrivateMemory(harmless, isPrivate, backends),
      ...(isFilled ? ['-overcommit', 'mem-lock=off'] : []),
    ],
    monitor: own,
    moved,
    taps: nets.flatMap(tapOf),
    left,
  };
}

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
