// SPDX-License-Identifier: Apache-2.0
/**
 * What a machine needs before its VMM can be started, and what the host makes while it boots: mounts, devices, network
 * interfaces, security profiles. The carrier waits for each, and starts the machine when they are there.
 */
import type { Need } from '../../adoption/vmm-facts.ts';
import { isInterfaceName } from '../../host/interface-name.ts';
import { visible } from '../../host/plain-words.ts';
import { seenBy } from '../../host/seen-by.ts';
import { usualBridge } from '../../qemu/named-in-words.ts';
import type { HostMounts } from './host-mounts.ts';
import { netdevsIn } from './obstacles.ts';
import { readStart } from './vmm-status.ts';

/** How long a machine waits for its needs, in seconds. Then it is the agent's, which tries without waiting. */
export const usualNeedLimitS = 120;

/** What is waited for, behind "waits for"; the carrier says the same (`describe`, needs.c). */
export function needWords({ kind, what }: Need): string {
  const shown = visible(what);
  if (kind === 'mounted') return `${shown} to be mounted`;
  if (kind === 'interface') return `the network interface ${shown}`;
  return kind === 'profile' ? `the security profile ${shown}` : shown;
}

/** Each once. Mounts come first, as devices and files may be on them, and the outer ones before the inner ones. */
export function inOrder(needs: readonly Need[]): Need[] {
  const order: readonly Need['kind'][] = ['mounted', 'present', 'interface', 'profile'];
  const each = [...new Map(needs.map((need) => [`${need.kind} ${need.what}`, need])).values()];
  const depth = ({ what }: Need): number => what.split('/').length;
  return order.flatMap((kind) =>
    each.filter((need) => need.kind === kind).sort((one, other) => depth(one) - depth(other)),
  );
}

/**
 * The mounts that a file is on, as needs.
 *
 * @param points mount points on the way to it
 * @returns an obstacle too if one of them does not come back by itself: the agent waits for it, as a program of the host
 *   may mount it
 */
export async function mountNeeds(
  mounts: HostMounts,
  path: string,
  points: readonly string[],
): Promise<{ needs: Need[]; obstacle: string | null }> {
  const needs = points.map((what): Need => ({ kind: 'mounted', what }));
  for (const point of points) {
    if (!(await mounts.comesBack(point)))
      return { needs, obstacle: `${visible(path)} is on ${visible(point)}, which no boot mounts by itself` };
  }
  return { needs, obstacle: null };
}

/** Of `tun_flags` in sysfs: the interface outlives whoever made it (IFF_PERSIST, drivers/net/tun.c). */
const persistent = 0x0800;

/** Bridges on which its taps are put, and taps that somebody else made for it. */
export async function interfaceNeeds(proc: string, pid: number, words: readonly string[]): Promise<Need[]> {
  const names: string[] = [];
  for (const options of netdevsIn(words)) {
    const type = options.get('type');
    const name = options.get('ifname') ?? '';
    if (type === 'bridge' || (type === 'tap' && options.has('helper')))
      names.push(options.get('br') ?? usualBridge);
    else if (type === 'tap' && (await isPersistent(proc, pid, name))) names.push(name);
  }
  return names.filter(isInterfaceName).map((what) => ({ kind: 'interface', what }));
}

async function isPersistent(proc: string, pid: number, name: string): Promise<boolean> {
  if (!isInterfaceName(name)) return false;
  const file = seenBy(proc, pid, `/sys/class/net/${name}/tun_flags`);
  const flags = Number((await readStart(file).catch(() => '')).trim());
  return (flags & persistent) !== 0;
}
