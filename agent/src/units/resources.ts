// SPDX-License-Identifier: Apache-2.0
/**
 * What a VMM's unit may use: its slice, and the limits and shares of its control group (systemd.resource-control(5)).
 * A control group ends with its kernel. So they are read while the VMM runs, and given to its unit in the next kernel.
 *
 * They are read from the kernel, which also has what was set without the service manager. Limits on devices are not
 * among them: a device may have another number in the next kernel.
 */
import { join } from 'node:path';
import * as v from 'valibot';
import { controlGroupOf } from '../host/control-group.ts';
import type { HostPaths } from '../host/paths.ts';
import { readBounded } from '../host/read-bounded.ts';
import { Variant } from './bus-message.ts';

/** Where a machine's unit is if nothing else is known. */
export const usualSlice = 'machine.slice';

/** Below 2^64-1, which says that there is no limit. Numbers of 64 bits have no room in JSON. */
const amount = v.pipe(
  v.string(),
  v.regex(/^\d{1,20}$/),
  v.check((digits) => BigInt(digits) < 2n ** 64n - 1n, 'expected a number of 64 bits that is a limit'),
);
/** As cpuset(7) has lists of processors and memory nodes. */
const list = v.pipe(v.string(), v.regex(/^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$/), v.maxLength(1024));
const weight = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(10_000));
const positive = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

export const Resources = v.object({
  /** The slice's unit; a dash in its name is a level (systemd.slice(5)). */
  slice: v.pipe(v.string(), v.regex(/^[A-Za-z0-9:_.\\@]+(-[A-Za-z0-9:_.\\@]+)*\.slice$/), v.maxLength(255)),
  /** Bytes. What has no limit, or no protection, is absent. */
  memoryMin: v.optional(amount),
  memoryLow: v.optional(amount),
  memoryHigh: v.optional(amount),
  memoryMax: v.optional(amount),
  memorySwapMax: v.optional(amount),
  /** Processes and threads. */
  tasksMax: v.optional(amount),
  /** Of 100 for everybody else. */
  cpuWeight: v.optional(weight),
  ioWeight: v.optional(weight),
  /** So much time of processors in each period, both in µs. */
  cpuQuota: v.optional(v.object({ timeUs: positive, periodUs: positive })),
  /** Processors and memory nodes that it is allowed. */
  cpus: v.optional(list),
  memoryNodes: v.optional(list),
});
export type Resources = v.InferOutput<typeof Resources>;

/** What begins like one of the kernel's own files gets an underscore in front (`cg_needs_escape`, src/basic/cgroup-util.c). */
const needsUnderscore =
  /^(_|\.|(cgroup|cpu|cpuacct|cpuset|io|blkio|memory|devices|pids|hugetlb|misc|rdma|dmem)\.)/;

/** A slice's control group, as below the mount of cgroup2: a slice is in those that its name begins with. */
export function sliceGroup(slice: string): string {
  const parts = slice.replace(/\.slice$/, '').split('-');
  const names = parts.map((_, last) => `${parts.slice(0, last + 1).join('-')}.slice`);
  return names.map((name) => (needsUnderscore.test(name) ? `/_${name}` : `/${name}`)).join('');
}

/** What is read of a control group's file at most, in bytes. */
const mostBytes = 4096;

/** Units of a login. Others share them, and they end with it; a unit in their slice would wait for a login manager. */
const shared = /^(session-.*\.scope|user@.*\.service)$/;

/**
 * Reads what a process may use.
 *
 * @param paths where procfs and sysfs are mounted
 * @returns null if it is in no unit in a slice, or in one of a login, or the host has no control groups of version 2
 * @throws Error if there is no such process; ValiError if the kernel says something unknown
 */
export function readResources({ proc, sys }: Pick<HostPaths, 'proc' | 'sys'>, pid: number): Resources | null {
  const group = controlGroupOf(proc, pid);
  const slice = group?.slices.at(-1)?.replace(/^_/, '');
  if (slice === undefined || group === null || group.unit === null) return null;
  // Groups that only look like slices say nothing.
  const own = `/${group.slices.join('/')}`;
  if (!v.is(Resources.entries.slice, slice) || sliceGroup(slice) !== own) return null;
  if (shared.test(group.unit)) return null;
  const unit = `${own}/${group.unit}`;
  const read = (at: string, file: string): string =>
    readBounded(join(sys, 'fs/cgroup', at, file), mostBytes)?.text.trim() ?? '';
  // A VMM may be in a group below its unit's, which limits it, too. A threaded one is of some of its threads only.
  const below = group.below.map((_, last) => [unit, ...group.below.slice(0, last + 1)].join('/'));
  const groups = [unit, ...below.filter((at) => read(at, 'cgroup.type') !== 'threaded')];
  const all = (file: string): string[] => groups.map((at) => read(at, file));
  const first = (file: string): string => read(unit, file);
  return v.parse(Resources, {
    slice,
    memoryMin: protection(first('memory.min')),
    memoryLow: protection(first('memory.low')),
    memoryHigh: smallest(all('memory.high')),
    memoryMax: smallest(all('memory.max')),
    memorySwapMax: smallest(all('memory.swap.max'), 0n),
    tasksMax: smallest(all('pids.max')),
    cpuWeight: weightIn(first('cpu.weight')),
    ioWeight: weightIn(first('io.weight').replace(/^default /, '')),
    cpuQuota: quotaIn(all('cpu.max')),
    // Of the unit only: a group below may name any, and whoever it was delegated to has made it.
    cpus: first('cpuset.cpus') || undefined,
    memoryNodes: first('cpuset.mems') || undefined,
  });
}

/** Of limits, `max` is none; a controller that is off has no file. @param least what a unit may have as its limit */
function smallest(limits: readonly string[], least = 1n): string | undefined {
  const set = limits.filter((limit) => /^\d{1,20}$/.test(limit) && BigInt(limit) >= least);
  return set.reduce<string | undefined>(
    (found, limit) => (found === undefined || BigInt(limit) < BigInt(found) ? limit : found),
    undefined,
  );
}

const protection = (text: string): string | undefined =>
  /^\d{1,20}$/.test(text) && BigInt(text) > 0n ? text : undefined;

/** 100 is everybody's; 0 is that of a group that runs only if nobody else does (cpu.idle), which is not kept. */
function weightIn(text: string): number | undefined {
  const found = /^\d{1,5}/.exec(text)?.[0];
  return found === undefined || ['0', '100'].includes(found) ? undefined : Number(found);
}

/** Of `TIME PERIOD` or `max PERIOD`, the one that allows the least. */
function quotaIn(limits: readonly string[]): Resources['cpuQuota'] {
  const set = limits.flatMap((text) => {
    const [, time, period] = /^(\d{1,15}) (\d{1,15})$/.exec(text) ?? [];
    return time === undefined ? [] : [{ timeUs: Number(time), periodUs: Number(period) }];
  });
  return set.sort((one, other) => one.timeUs / one.periodUs - other.timeUs / other.periodUs)[0];
}

/** The properties of a unit that give it all this (org.freedesktop.systemd1(5)), by their names. */
export function resourceProperties(resources: Resources | null): Readonly<Record<string, Variant>> {
  const { slice = usualSlice, cpuQuota, cpuWeight, ioWeight, cpus, memoryNodes } = resources ?? {};
  const amounts = {
    MemoryMin: resources?.memoryMin,
    MemoryLow: resources?.memoryLow,
    MemoryHigh: resources?.memoryHigh,
    MemoryMax: resources?.memoryMax,
    MemorySwapMax: resources?.memorySwapMax,
    TasksMax: resources?.tasksMax,
    CPUWeight: cpuWeight,
    IOWeight: ioWeight,
    CPUQuotaPerSecUSec: cpuQuota && Math.max(1, Math.floor((cpuQuota.timeUs * 1e6) / cpuQuota.periodUs)),
    CPUQuotaPeriodUSec: cpuQuota?.periodUs,
  };
  const properties: Record<string, Variant> = { Slice: new Variant('s', slice) };
  for (const [name, value] of Object.entries(amounts))
    if (value !== undefined) properties[name] = new Variant('t', BigInt(value));
  if (cpus !== undefined) properties['AllowedCPUs'] = new Variant('ay', bitsOf(cpus));
  if (memoryNodes !== undefined) properties['AllowedMemoryNodes'] = new Variant('ay', bitsOf(memoryNodes));
  return properties;
}

/** The bytes of a set of numbers, the lowest bit of the first byte being 0. */
function bitsOf(numbers: string): number[] {
  const bytes: number[] = [];
  for (const range of numbers.split(',')) {
    const [first = 0, last = first] = range.split('-').map(Number);
    for (let number = first; number <= last; number += 1) {
      const at = number >> 3;
      while (bytes.length <= at) bytes.push(0);
      bytes[at] = (bytes[at] ?? 0) | (1 << (number & 7));
    }
  }
  return bytes;
}
