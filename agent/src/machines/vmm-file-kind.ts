// SPDX-License-Identifier: Apache-2.0
/**
 * What a descriptor of a VMM is, from the text of its link under `/proc/PID/fd`. A file in no directory has a name that
 * the kernel gave it where it made the file. See `anon_inode_getfile` and similar in `virt/kvm`, `drivers/vfio` and
 * `fs/eventfd.c`. Devices are known by their place under `/dev`.
 */
import type { Kind, MachineFile } from '../interface/agent.generated.ts';

const byName: readonly (readonly [RegExp, MachineFile])[] = [
  [/^anon_inode:kvm-vm$/, 'kvm_vm'],
  [/^anon_inode:kvm-vcpu:\d+$/, 'kvm_vcpu'],
  [/^anon_inode:kvm-(vm|vcpu)-stats/, 'kvm_stats'],
  [/\[?(kvm-gmem|guest_memfd)\]?( \(deleted\))?$/, 'guest_memfd'],
  [/^anon_inode:\[?kvm-/, 'kvm_device'],
  [/^anon_inode:\[eventfd\]$/, 'eventfd'],
  [/^anon_inode:\[vfio-device\]$/, 'vfio_device'],
  [/^socket:\[\d+\]$/, 'socket'],
  [/^\/dev\/kvm$/, 'kvm'],
  [/^\/dev\/vfio\/devices\//, 'vfio_device'],
  [/^\/dev\/vfio\/vfio$/, 'vfio_container'],
  [/^\/dev\/vfio\//, 'vfio_group'],
  [/^\/dev\/iommu$/, 'iommufd'],
  [/^\/dev\/vhost-/, 'vhost'],
  [/^\/dev\/(net\/tun|tap\d+)$/, 'tap'],
];

/** Devices that every process may have and that hold nothing of a machine. */
const plainDevices = /^\/dev\/(null|zero|full|random|urandom|tty.*|ptmx|console|pts\/.*|hpet|rtc.*)$/;

/** The kind that the name alone tells, or null. */
export function kindOfName(name: string): MachineFile | null {
  return byName.find(([rule]) => rule.test(name))?.[1] ?? null;
}

/** Whether the link has to be followed to know more: it names a place, or a file that is in memory. */
export function isPlace(name: string): boolean {
  return name.startsWith('/') && !plainDevices.test(name);
}

/**
 * The kind of a file that was looked at, or null for one that does not matter to a live update.
 *
 * @param kind what its file system says it is
 * @param writeOnly whether this descriptor can only be written to, as a log's
 */
export function kindOfFile(
  name: string,
  kind: Kind,
  regular: boolean,
  writeOnly: boolean,
): MachineFile | null {
  if (kind !== 'other') return kind === 'tmpfs_linked' && writeOnly ? null : kind;
  if (regular) return writeOnly ? null : 'disk';
  return name.startsWith('/dev/') ? 'device' : null;
}
