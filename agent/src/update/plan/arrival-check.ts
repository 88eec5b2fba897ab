// SPDX-License-Identifier: Apache-2.0
/** The preflight check of what brings the machines back in the next kernel: the carrier, or the agent once it runs. */
import { fstabIn } from '../../host/mounts.ts';
import type { HostPaths } from '../../host/paths.ts';
import { counted, visible } from '../../host/plain-words.ts';
import { readBounded } from '../../host/read-bounded.ts';
import { saidBy } from '../../host/said-by.ts';
import type { CheckVerdict, PlannedMachine } from '../../interface/agent.generated.ts';
import { bootTimes } from '../../kernel/boot-times.ts';
import { initsOf } from '../../kernel/init-parameter.ts';
import { readKernelRecords } from '../../kernel/log.ts';
import { needWords } from '../program/needs.ts';
import { type CarrierCase, type CarrierHost, carriedOver, carrierUse } from './carrier-use.ts';

const cost = "which takes the time of the host's boot";

/** An initrd that takes longer is worth a warning, in s: that of initramfs-tools took 2.5 in the lab, and dracut's 14. */
const longInitrdS = 5;

type ArrivalHost = CarrierHost & { readonly paths: Pick<HostPaths, 'etc' | 'kernelLog'> };

/**
 * What brings the machines back, and why it is not the carrier.
 *
 * @param wanted with the command line of the plan
 * @returns a fail if that command line starts the carrier and the next kernel could not: the carrier's file may have
 *   been removed since the plan was made
 */
export async function arrivalCheck(
  host: ArrivalHost,
  wanted: CarrierCase,
): Promise<readonly [CheckVerdict, string]> {
  const use = await carrierUse(host, wanted);
  const { byCarrier, byAgent } = carriedOver(wanted);
  const started = initsOf(wanted.commandLine).includes(host.paths.carrier);
  if (started && !use.used) {
    const why = use.why ?? 'no machine needs it';
    return ['fail', `the command line starts the carrier, which cannot be used: ${why}. Make the plan again`];
  }
  const waiting = byAgent.map(({ machine, obstacle }) => `${machine.name} waits for the agent: ${obstacle}`);
  const brought = started ? waiting.length > 0 : byCarrier.length + byAgent.length > 0;
  const stops = brought ? whatStopsBoot(host.paths) : [];
  if (byCarrier.length === 0) {
    return waiting.length === 0
      ? ['pass', 'no machine has to be brought back']
      : ['warn', [`the carrier brings no machine back: ${waiting.join('; ')}`, ...stops].join('; ')];
  }
  const back = `${counted(byCarrier.length, 'machine')} ${byCarrier.length === 1 ? 'is' : 'are'} brought back`;
  if (!started) {
    const why = use.used ? 'the plan was made before it was there. Make the plan again' : use.why;
    const late = `${back} once the agent runs, ${cost}: the carrier is not used, because ${why}`;
    return ['warn', [late, ...waiting, ...stops].join('; ')];
  }
  const initrdS = wanted.image.initrd === null ? null : initrdSeconds(host.paths);
  const soon = `${back} by the carrier, as soon as ${whenRoot(wanted.image.initrd, initrdS)}`;
  const detail = [soon, ...waitsFor(wanted, byCarrier), ...waiting, ...stops].join('; ');
  return [waiting.length === 0 && (initrdS ?? 0) < longInitrdS ? 'pass' : 'warn', detail];
}

function whenRoot(initrd: string | null, seconds: number | null): string {
  if (initrd === null) return 'the kernel runs';
  const took = seconds === null ? '' : `, which took ${seconds.toFixed(1)} s in the last boot`;
  return `the initrd has mounted the root file system${took}`;
}

/** How long the initrd of the running kernel took; null if that is not known. */
function initrdSeconds(paths: Pick<HostPaths, 'kernelLog'>): number | null {
  const us = bootTimes(readKernelRecords(paths) ?? [])?.initrdUs ?? null;
  return us === null ? null : us / 1_000_000;
}

/** What the carrier waits for, with the machines that need it: `vm1, vm2 wait for /dev/kvm`. */
function waitsFor({ vmms }: Pick<CarrierCase, 'vmms'>, machines: readonly PlannedMachine[]): string[] {
  const names = new Map<string, string[]>();
  for (const { session, name } of machines) {
    for (const words of (vmms.get(session ?? '')?.needs ?? []).map(needWords))
      names.set(words, [...(names.get(words) ?? []), name]);
  }
  return [...names].map(
    ([words, of]) => `${of.join(', ')} ${of.length === 1 ? 'waits' : 'wait'} for ${words}`,
  );
}

/** In bytes. The administrator writes it by hand. */
const longestFstab = 1024 * 1024;

/** Without these the host does not come so far. */
const mountedFirst: ReadonlySet<string> = new Set(['/', '/usr']);

/** The kernel makes them, or nothing is mounted. */
const neverMissing: ReadonlySet<string> = new Set([
  ...['swap', 'tmpfs', 'ramfs', 'hugetlbfs', 'proc', 'sysfs', 'devpts', 'mqueue', 'debugfs', 'tracefs'],
]);

/** The host goes on without what is mounted over a network (`fstype_is_network`, src/basic/mountpoint-util.c). */
const overNetwork =
  /^(fuse\.)?(afs|ceph|cifs|smb3|smbfs|sshfs|ncpfs|ncp|nfs|nfs4|gfs|gfs2|glusterfs|pvfs2|ocfs2|lustre|davfs)$/;

/** With one of these a boot does not wait for the mount, or goes on without it (systemd.mount(5)). */
const goesOnWith = ['nofail', 'noauto', '_netdev', 'x-systemd.automount'];

/**
 * Mounts without which a boot stops: systemd starts its emergency mode in place of what comes later, such as the
 * network (`OnFailure=` of local-fs.target). The agent runs in that mode, too.
 */
function whatStopsBoot({ etc }: Pick<HostPaths, 'etc'>): string[] {
  let text: string;
  try {
    text = readBounded(`${etc}/fstab`, longestFstab)?.text ?? '';
  } catch (error) {
    return [`it is unknown which file systems the boot waits for: ${saidBy(error)}`];
  }
  const points = fstabIn(text).flatMap(({ point, type, options }) => {
    const isWaitedFor =
      !mountedFirst.has(point) &&
      !neverMissing.has(type) &&
      !overNetwork.test(type) &&
      !goesOnWith.some((option) => options.includes(option));
    return isWaitedFor ? [visible(point)] : [];
  });
  if (points.length === 0) return [];
  return [
    `a boot that cannot mount ${points.join(' or ')} ends in emergency mode, and what the agent brings back has no network then: ${etc}/fstab has no nofail there`,
  ];
}
