// SPDX-License-Identifier: Apache-2.0
/**
 * What a descriptor of a machine depends on among the others of that machine: it can be restored only once
 * those are there. Memory depends on nothing; whatever maps it for a device or for a guest depends on it. Of other
 * devices their drivers know what they need, and some say it (`device-needs.ts`).
 */
import type { MachineFile } from '../interface/agent.generated.ts';
import type { StatedDevice } from './device-needs.ts';

interface Dependent {
  readonly fd: number | null;
  readonly kind: MachineFile;
  readonly guestMemory: boolean;
  readonly stated: StatedDevice | null;
}

/** Kinds that each kind needs; `memory` is what holds the guest's. */
const needs: Partial<Record<MachineFile, readonly (MachineFile | 'memory')[]>> = {
  kvm_vm: ['memory'],
  kvm_vcpu: ['kvm_vm'],
  kvm_stats: ['kvm_vm'],
  kvm_device: ['kvm_vm'],
  guest_memfd: ['kvm_vm'],
  iommufd: ['memory'],
  vfio_container: ['memory'],
  vfio_group: ['vfio_container'],
  vfio_device: ['iommufd', 'vfio_group'],
  vhost: ['memory'],
};

/** The descriptors, by number, that one of them depends on. Private guest memory needs its VM, not the reverse. */
export function dependenciesOf(node: Dependent, all: readonly Dependent[]): number[] {
  const { stated } = node;
  if (stated !== null) {
    return all.flatMap((other) =>
      other.fd !== null && other.stated !== null && stated.needs.includes(other.stated.name)
        ? [other.fd]
        : [],
    );
  }
  const wanted = needs[node.kind];
  if (wanted === undefined) return [];
  const numbers: number[] = [];
  for (const other of all) {
    if (other === node || other.fd === null) continue;
    const memory = other.guestMemory && other.kind !== 'guest_memfd';
    if (wanted.includes(other.kind) || (memory && wanted.includes('memory'))) numbers.push(other.fd);
  }
  return numbers;
}

/** What a device's driver says it needs, and no file of the same machine is, by name. */
export function unmetNeeds(
  { stated }: Pick<Dependent, 'stated'>,
  all: readonly Pick<Dependent, 'stated'>[],
): string[] {
  const present = new Set(all.map((other) => other.stated?.name));
  return (stated?.needs ?? []).filter((name) => !present.has(name));
}
