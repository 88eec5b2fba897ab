// SPDX-License-Identifier: Apache-2.0
/**
 * The instructions of a resume program: what the carrier can do, and nothing else. The carrier has the same table
 * (native-bindings/carrier/program.h). Everything is decided when the program is compiled; the carrier only does it.
 *
 * To add an instruction, add a row here and in the carrier. One that changes its meaning gets another code.
 */
import { mostGroups } from '../../adoption/vmm-facts.ts';

/** Of what there may be only so many of an instruction: the program, a machine's part, or one `play`. */
type Whole = 'program' | 'machine' | 'play';

interface Row {
  readonly code: number;
  /** Its numbers, in their order: each is 64 bits wide, without a sign. */
  readonly numbers: readonly string[];
  /** Its texts, in their order, behind the numbers. */
  readonly texts: readonly string[];
  readonly most?: { readonly count: number; readonly per: Whole };
}

const table = {
  /** Takes an incoming session; they are numbered from 0. */
  session: { code: 1, numbers: [], texts: ['name'], most: { count: 64, per: 'program' } },
  /** Retrieves a file of a session; they are numbered from 0. */
  file: { code: 2, numbers: ['session', 'token'], texts: [], most: { count: 8192, per: 'program' } },
  /** Sets the network interface `lo` up. */
  loopback: { code: 3, numbers: [], texts: [] },
  /** Remounts the root file system for writing. */
  writable: { code: 4, numbers: [], texts: [] },
  /** Gives a device node its mode and owner, or the one that a link leads to. */
  node: { code: 5, numbers: ['mode', 'uid', 'gid'], texts: ['path'] },
  /** Begins a machine, whose part is that many bytes of instructions behind this one. */
  machine: {
    code: 6,
    numbers: ['stateFile', 'markOffset', 'bytes'],
    texts: ['session'],
    most: { count: 256, per: 'program' },
  },
  /** So many machines are started at once, in their order. One that only waits does not count. */
  together: { code: 7, numbers: ['count'], texts: [] },
  /** Makes a directory, if it is not there. */
  directory: { code: 20, numbers: ['mode', 'uid', 'gid'], texts: ['path'] },
  user: { code: 21, numbers: ['uid', 'gid'], texts: [] },
  group: { code: 22, numbers: ['gid'], texts: [], most: { count: mostGroups, per: 'machine' } },
  /** 2^64-1 is unlimited. */
  limit: { code: 23, numbers: ['number', 'soft', 'hard'], texts: [] },
  /** `NAME=VALUE` of the environment. */
  variable: { code: 24, numbers: [], texts: ['value'], most: { count: 256, per: 'machine' } },
  /** The working directory. */
  stand: { code: 25, numbers: [], texts: ['path'] },
  umask: { code: 26, numbers: ['mask'], texts: [] },
  /** A word behind the program's name. */
  word: { code: 27, numbers: [], texts: ['text'], most: { count: 4096, per: 'machine' } },
  /** Becomes the VMM's descriptor 3, 4 and so on. */
  hand: { code: 28, numbers: ['file'], texts: [], most: { count: 512, per: 'machine' } },
  start: { code: 29, numbers: [], texts: ['program'] },
  /** Waits until this path is a mount point. Fails so many seconds after the machine's first wait. */
  mounted: { code: 30, numbers: ['limitS'], texts: ['path'] },
  /** Waits until this path is there, at the end of its links. Once the VMM is started it may be something of the agent's. */
  present: { code: 31, numbers: ['limitS'], texts: ['path'] },
  /** Waits until there is a network interface of this name. */
  interface: { code: 32, numbers: ['limitS'], texts: ['name'] },
  /**
   * Fails unless the service manager gave the carrier namespaces of its own, for file systems and network. Without them a
   * VMM that is only rehearsed could reach what the running one uses.
   */
  apart: { code: 33, numbers: [], texts: [] },
  /**
   * How long the VMM may do nothing while it is waited for, how long one wait may take although it is busy, and how much
   * of its state it has to take in the first of these times. Comes before `start`.
   */
  patience: { code: 34, numbers: ['quietS', 'wholeS', 'leastBytes'], texts: [] },
  /** The VMM's capabilities, as bits: its bounding set, those that are inheritable, and those that are ambient. */
  rights: { code: 35, numbers: ['bounding', 'inheritable', 'ambient'], texts: [] },
  /** No program that the VMM starts gets more rights than it has (PR_SET_NO_NEW_PRIVS). */
  confine: { code: 36, numbers: [], texts: [] },
  /** Loads a module of the kernel, if it is not there. What fails costs nothing; `flags` are those of finit_module(2). */
  module: { code: 37, numbers: ['flags'], texts: ['path', 'parameters'] },
  /**
   * Gives all threads of the VMM a nice value, from 0 for -20. Until then its first thread comes first: its machine is
   * stopped, and the host boots beside it.
   */
  nice: { code: 38, numbers: ['fromFirst'], texts: [] },
  /** Waits until this profile of AppArmor is loaded, in this mode: `NAME (MODE)`. */
  profile: { code: 39, numbers: ['limitS'], texts: ['profile'] },
  /** Connects to a socket of the VMM as soon as it listens. */
  connect: { code: 40, numbers: [], texts: ['path'] },
  /** The file goes with the first byte of the next `play`. */
  attach: { code: 41, numbers: ['file'], texts: [], most: { count: 253, per: 'play' } },
  /** Sends bytes of a file; all from the offset on if they are `toItsEnd`. */
  play: { code: 42, numbers: ['file', 'offset', 'bytes'], texts: [] },
  /** Ends the writing side. */
  shut: { code: 43, numbers: [], texts: [] },
  /** Ends the connection. */
  close: { code: 44, numbers: [], texts: [] },
  /** The profile of AppArmor that confines the VMM. Without it no VMM is started. */
  label: { code: 45, numbers: [], texts: ['profile'] },
  /** Makes a tap of a user in such a network, with several queues if they are more than one. Comes after `apart`. */
  tap: { code: 46, numbers: ['uid', 'queues'], texts: ['name'] },
  /** Connects to the monitor. */
  monitor: { code: 50, numbers: [], texts: ['path'] },
  /** Sends a line of QMP and waits for its answer; an error fails. */
  tell: { code: 51, numbers: [], texts: ['command'] },
  /**
   * Sends a line of QMP until its answer has `wanted` in it; fails at `refused`, if that is not empty. `!` at the
   * beginning of `wanted`: until it has none of the texts behind it, which have `|` between them.
   */
  until: { code: 52, numbers: [], texts: ['wanted', 'refused', 'command'] },
  /** Sends a line of QMP and waits for its answer, whatever it is: a refusal, or a VMM that has ended, fails nothing. */
  try: { code: 53, numbers: [], texts: ['command'] },
  /** Writes a byte at the machine's mark. */
  mark: { code: 60, numbers: ['value'], texts: [] },
  /** Puts an event of that name into the carrier's log. */
  note: { code: 61, numbers: [], texts: ['word'] },
} as const satisfies Record<string, Row>;

type Table = typeof table;
export type InstructionName = keyof Table;

/** The instructions by name, with what an encoder needs of them. */
export const instructionRows: Readonly<Record<InstructionName, Row>> = table;

/** The values of an instruction. */
export type Values<Name extends InstructionName> = {
  readonly [Number in Table[Name]['numbers'][number]]: number | bigint;
} & { readonly [Text in Table[Name]['texts'][number]]: string };

/** One instruction: `does` tells which, and decides what else there is. */
export type Instruction = {
  [Name in InstructionName]: { readonly does: Name } & Values<Name>;
}[InstructionName];

/**
 * The note that a guest was told to run, and that QEMU agreed: it runs from then on. That it does is known only once its
 * status says so.
 */
export const toldToRun = 'told';

/** Bytes of a `play` that ends where its file does: its length was not known when the program was compiled. */
export const toItsEnd = 2n ** 64n - 1n;

/** Most bytes of the instructions together. */
export const mostBodyBytes = 4 * 1024 * 1024;

/** The version of the format, which the carrier compares. */
export const programFormat = 2;
