// SPDX-License-Identifier: Apache-2.0
/**
 * The kernel's own boot, taken apart by the time stamps of its log. A few stretches have names, because the kernel says
 * where they begin or end. Any other one is called by the record at its end. What is left is the rest, so the sum is the
 * whole boot until the first process.
 *
 * The log does not divide the walk over preserved memory from giving out the rest of memory. No record lies between
 * `kho_memory_init` and `memblock_free_all` (`mm_core_init`, `mm/mm_init.c`).
 */
import { visible } from '../host/plain-words.ts';
import type { BootStretch } from '../interface/agent.generated.ts';
import type { KernelRecord } from './log.ts';

/** What is needed of a record: a serial console has no more. */
export type TimedRecord = Pick<KernelRecord, 'atUs' | 'text'>;

/** Shorter stretches are part of the rest, in µs. */
const shortestUs = 5000;
/** Most stretches beside that of memory and the rest. */
const mostStretches = 6;
/** Of a record that names a stretch, in characters. */
const longestText = 80;

/** A stretch that the kernel's records mark. Without `from` it begins at the record before `until`, and likewise. */
interface Marked {
  readonly what: (said: RegExpExecArray) => string;
  readonly from: RegExp | null;
  readonly until: RegExp | null;
}

/** `mm_core_init`, behind `report_meminit` (`mm/mm_init.c`). */
const memory = /^mem auto-init:/;
/** `kho_populate`, `kernel/liveupdate/kexec_handover.c`. */
const handedOver = /^KHO: found kexec handover data/;

const marked: readonly Marked[] = [
  // `free_area_init` and `memmap_init`, `mm/mm_init.c`; `setup_per_cpu_areas` is next.
  { what: () => 'preparing page structures', from: /^Zone ranges:/, until: /^setup_percpu:/ },
  // `register_console`, `kernel/printk/printk.c`, prints what was logged before.
  {
    what: ([, name]) => `printing the log so far to ${name}`,
    from: /\bconsole \[(\w+)\] enabled$/,
    until: null,
  },
  // `smp_prepare_cpus_common`, `arch/x86/kernel/smpboot.c`.
  { what: () => 'setting up the first processor', from: null, until: /^smpboot: CPU0:/ },
  // `smp_init`, `kernel/smp.c`.
  {
    what: () => 'starting the other processors',
    from: /^smp: Bringing up secondary/,
    until: /^smp: Brought up/,
  },
  // `deferred_init_memmap`, `mm/mm_init.c`.
  { what: () => 'preparing more page structures', from: null, until: /^node \d+ deferred pages initialised/ },
  // `prepare_namespace`, `init/do_mounts.c`, which waits for the device; `sched_clock_init_late` is a late initcall.
  {
    what: () => 'mounting the root file system',
    from: /^sched_clock: Marking stable/,
    until: /^VFS: Mounted root/,
  },
  // `kernel_init`, `init/main.c`: it waits for asynchronous initialisations first.
  {
    what: () => 'ending the initialisations, freeing their memory',
    from: null,
    until: /^Freeing unused kernel image \(initmem\)/,
  },
];

/** From `driver_init` to the last initcalls (`do_basic_setup`, `init/main.c`): all of them, where none is told alone. */
const allInitcalls: Marked = {
  what: () => 'initialising subsystems and drivers',
  from: /^devtmpfs: initialized/,
  until: /^sched_clock: Marking stable/,
};

/**
 * The records of the boot until the kernel starts the first process (`run_init_process`, `init/main.c`).
 *
 * @param records of the log, oldest first
 * @returns null if the log has lost its beginning, or has no first process
 */
export function recordsOfBoot<T extends TimedRecord>(records: readonly T[]): readonly T[] | null {
  const end = records.findIndex(({ text }) => /^Run \S+ as init process/.test(text));
  return end < 0 || !records[0]?.text.startsWith('Linux version ') ? null : records.slice(0, end + 1);
}

/** Between two records: their places in the log. */
interface Stretch {
  readonly what: string;
  readonly from: number;
  readonly until: number;
}

/** Where an initialisation began and ended, with `initcall_debug` (`trace_initcall_start_cb`, `init/main.c`). */
function initcalls(boot: readonly TimedRecord[]): Stretch[] {
  const begun = new Map<string, number>();
  return boot.flatMap(({ text }, until): Stretch[] => {
    const [, begins, ends] = /^(?:calling +(\w+)\+|initcall (\w+)\+\S+.* returned )/.exec(text) ?? [];
    if (begins !== undefined) begun.set(begins, until);
    const from = ends === undefined ? undefined : begun.get(ends);
    return from === undefined ? [] : [{ what: `initialisation ${ends}`, from, until }];
  });
}

/** Where a stretch that has a name begins and ends. */
function placesOf(boot: readonly TimedRecord[], { what, from, until }: Marked): Stretch[] {
  const first = from ?? until;
  return boot.flatMap(({ text }, at): Stretch[] => {
    const said = first?.exec(text);
    if (!said) return [];
    if (from === null) return at === 0 ? [] : [{ what: what(said), from: at - 1, until: at }];
    const end =
      until === null ? at + 1 : boot.findIndex((each, other) => other > at && until.test(each.text));
    return end < 0 || end >= boot.length ? [] : [{ what: what(said), from: at, until: end }];
  });
}

/** One text in a line, cut where it is long. */
function quoted(text: string): string {
  const shown = visible(text);
  return `until "${shown.length > longestText ? `${shown.slice(0, longestText - 1)}…` : shown}"`;
}

/** All stretches in their order, none over another. @param memoryWords the name of that of memory */
function stretchesOf(boot: readonly TimedRecord[], memoryWords: string): Stretch[] {
  const single = initcalls(boot);
  const named = [
    ...placesOf(boot, { what: () => memoryWords, from: memory, until: null }),
    ...marked.flatMap((each) => placesOf(boot, each)),
    ...(single.length > 0 ? single : placesOf(boot, allInitcalls)),
  ];
  /** Which stretch has the time before each record. */
  const owners = new Map<number, Stretch>();
  for (const each of named) {
    for (let at = each.from + 1; at <= each.until; at += 1) if (!owners.has(at)) owners.set(at, each);
  }
  return boot.slice(1).flatMap(({ text }, before): Stretch[] => {
    const at = before + 1;
    const owner = owners.get(at);
    if (owner === undefined) return [{ what: quoted(text), from: before, until: at }];
    if (before > 0 && owners.get(before) === owner) return [];
    let until = at;
    while (owners.get(until + 1) === owner) until += 1;
    return [{ what: owner.what, from: before, until }];
  });
}

/**
 * What the boot took time for, until the kernel started the first process: memory, the longest other stretches, and the
 * rest. Times count from the beginning of the log's clock.
 *
 * @param records of the log, oldest first
 * @returns in the order of time, the rest last; null if the log does not tell all of the boot
 */
export function bootStretches(records: readonly TimedRecord[]): BootStretch[] | null {
  const boot = recordsOfBoot(records);
  if (boot === null) return null;
  // Another processor's clock may be behind: such a record takes no time.
  let nowUs = 0;
  const times = boot.map(({ atUs }) => {
    nowUs = Math.max(nowUs, atUs);
    return nowUs;
  });
  const memoryWords = boot.some(({ text }) => handedOver.test(text))
    ? 'finding preserved memory, giving out the rest'
    : 'giving out memory';
  const all = stretchesOf(boot, memoryWords).map(({ what, from, until }) => {
    const startedAtUs = times[from] ?? 0;
    return { what, startedAtUs, durationUs: (times[until] ?? startedAtUs) - startedAtUs };
  });
  const longest = all
    .filter(({ what, durationUs }) => what !== memoryWords && durationUs >= shortestUs)
    .toSorted((one, other) => other.durationUs - one.durationUs)
    .slice(0, mostStretches);
  const told = all.filter((each) => each.what === memoryWords || longest.includes(each));
  const toldUs = told.reduce((sum, { durationUs }) => sum + durationUs, 0);
  return [...told, { what: 'the rest', startedAtUs: null, durationUs: nowUs - toldUs }];
}
