// SPDX-License-Identifier: Apache-2.0
/**
 * In which order machines and their files are preserved and restored. The kernel keeps the order it is given and does
 * not choose one, so the agent does. A file comes after those it depends on, a machine after its files. Undoing goes
 * the other way. A file that several machines have is one node, because it is preserved once.
 *
 * Among nodes that could come next, the lowest pid and then the lowest descriptor wins. A machine comes after all its
 * files. The order has only files that matter to it: those the kernel takes, and disks. Files that hold a guest's
 * memory or hand it to a device are in it too. It leaves out the hundreds of sockets and signals of a VMM.
 */

import { inMebibytes } from '../host/plain-words.ts';
import { Refusal } from '../host/refusal.ts';
import type {
  Machine,
  MachineDescriptor,
  MachineFile,
  OrderEdge,
  OrderGraph,
  OrderKind,
  OrderNode,
} from '../interface/agent.generated.ts';
import { sortByNeeds } from './topological-order.ts';

const orderKinds: Partial<Record<MachineFile, OrderKind>> = {
  memfd: 'memory',
  tmpfs_unlinked: 'memory',
  tmpfs_linked: 'memory',
  hugetlb: 'memory',
  guest_memfd: 'memory',
  iommufd: 'device',
  vfio_device: 'device',
  vfio_group: 'device',
  vfio_container: 'device',
  device: 'device',
  disk: 'disk',
};

const orderKindOf = (kind: MachineFile): OrderKind => orderKinds[kind] ?? 'other';

/** Files of these kinds are always in the order. */
const alwaysMatter: ReadonlySet<MachineFile> = new Set([
  'guest_memfd',
  'kvm_vm',
  'iommufd',
  'vfio_device',
  'vfio_group',
  'vfio_container',
  'disk',
]);

/** Why a file of a kind needs another one. */
const reasons: Partial<Record<MachineFile, string>> = {
  kvm_vm: 'the virtual machine runs in this memory',
  guest_memfd: 'this memory belongs to the virtual machine',
  iommufd: 'it maps this memory for devices',
  vfio_container: 'it maps this memory for devices',
  vfio_group: 'its devices use the mappings in there',
  vfio_device: 'the device uses the mappings in there',
  device: 'its driver says that it needs it',
};

/** A node while it is put together. */
interface Member {
  readonly node: OrderNode;
  /** Its place among the free ones. */
  readonly pid: number;
  readonly fd: number;
}

/** After all descriptors that have numbers: memory that is mapped only, then the machine itself. */
const mappedOnly = Number.MAX_SAFE_INTEGER - 1;
const machineItself = Number.MAX_SAFE_INTEGER;

/**
 * What depends on what among machines, as `listMachines` found them. One that ended meanwhile is left out.
 *
 * Ids are made of letters, digits and hyphens, from pids, descriptors and inodes; the same machines always have
 * the same ones. `cycle` has ids too: each needs the next, and the first is repeated at the end.
 */
export function orderOf(machines: readonly Machine[]): OrderGraph {
  const graph = new GraphBuilder();
  const present = machines
    .filter(({ state }) => state !== 'gone')
    .sort((left, right) => left.pid - right.pid);
  for (const machine of present) graph.add(machine);
  return graph.finish();
}

class GraphBuilder {
  readonly #members = new Map<string, Member>();
  readonly #edges = new Map<string, OrderEdge>();
  /** Files that have their own number, by kind and number. */
  readonly #files = new Map<string, { id: string; name: string }[]>();

  add(machine: Machine): void {
    const { pid, name, vmm, version } = machine;
    const files = fileNodes(machine).map(({ descriptor, byNumber }) => ({
      descriptor,
      byNumber,
      id: this.#enterFile(machine, descriptor),
    }));
    const id = `machine-${pid}`;
    const detail = [vmm, version].filter(Boolean).join(' ');
    const node: OrderNode = {
      id,
      kind: 'machine',
      label: name,
      detail: `${detail}, pid ${pid}`,
      pids: [pid],
    };
    this.#members.set(id, { node, pid, fd: machineItself });
    const idOf = new Map(files.flatMap(({ byNumber, id: file }) => byNumber.map((fd) => [fd, file])));
    for (const { descriptor, id: file } of files) {
      this.#connect(id, file, whyMachineNeeds(descriptor));
      for (const fd of descriptor.dependsOn) {
        const to = idOf.get(fd);
        if (to !== undefined) this.#connect(file, to, whyFileNeeds(descriptor));
      }
    }
  }

  finish(): OrderGraph {
    const members = [...this.#members.values()].sort(
      (left, right) => left.pid - right.pid || left.fd - right.fd || (left.node.id < right.node.id ? -1 : 1),
    );
    const nodes = members.map(({ node }) => node);
    const ids = nodes.map(({ id }) => id);
    const position = new Map(ids.map((id, index) => [id, index]));
    const needs: number[][] = nodes.map(() => []);
    const edges = [...this.#edges.values()];
    for (const { from, to } of edges) needs[position.get(from) ?? 0]?.push(position.get(to) ?? 0);
    const { order, cycle } = sortByNeeds(needs);
    const named = (positions: readonly number[]): string[] => positions.flatMap((index) => ids[index] ?? []);
    return { nodes, edges, order: named(order), cycle: named(cycle) };
  }

  /** The node of a file: one that a machine before has entered already, or a new one. */
  #enterFile({ pid }: Machine, descriptor: MachineDescriptor): string {
    const { kind, inode, fd, name, sharedWith } = descriptor;
    const orderKind = orderKindOf(kind);
    const key = `${orderKind} ${inode}`;
    const known = inode === null ? [] : (this.#files.get(key) ?? []);
    // Two file systems may use the same number, so whose file it is counts, and then what it is called.
    const same = known
      .filter(({ id }) => {
        const pids = this.#members.get(id)?.node.pids ?? [];
        return !pids.includes(pid) && pids.some((other) => sharedWith.includes(other));
      })
      .sort((left, right) => Number(right.name === name) - Number(left.name === name))[0];
    if (same) {
      const member = this.#members.get(same.id);
      member?.node.pids.push(pid);
      return same.id;
    }
    const id = fd === null ? `file-${pid}-inode-${inode ?? 'none'}` : `file-${pid}-${fd}`;
    const node = {
      id,
      kind: orderKind,
      label: labelOf(descriptor),
      detail: detailOf(descriptor),
      pids: [pid],
    };
    this.#members.set(id, { node, pid, fd: fd ?? mappedOnly });
    if (inode !== null) this.#files.set(key, [...known, { id, name }]);
    return id;
  }

  #connect(from: string, to: string, reason: string): void {
    const key = `${from} ${to}`;
    if (!this.#edges.has(key)) this.#edges.set(key, { from, to, reason });
  }
}

/** The files of a machine that matter to the order, each with all the numbers it goes by. */
function fileNodes({ descriptors }: Machine): { descriptor: MachineDescriptor; byNumber: number[] }[] {
  const needed = new Set(
    descriptors.filter(({ kind }) => kind === 'device').flatMap(({ dependsOn }) => dependsOn),
  );
  return descriptors
    .map((descriptor) => ({ descriptor, byNumber: numbersOf(descriptor) }))
    .filter(
      ({ descriptor, byNumber }) =>
        alwaysMatter.has(descriptor.kind) ||
        descriptor.guestMemory ||
        descriptor.fate === 'preservable' ||
        (descriptor.kind === 'device' && descriptor.dependsOn.length > 0) ||
        byNumber.some((fd) => needed.has(fd)),
    );
}

function numbersOf({ fd, duplicates }: MachineDescriptor): number[] {
  return fd === null ? [] : [fd, ...duplicates];
}

/**
 * The descriptors of one machine that the kernel takes, in the order in which they are preserved and restored.
 * Memory that is mapped only has no number; it needs nothing, so it may be preserved before them.
 *
 * @throws Refusal DependencyCycle, which names the files in turn, the first again at the end
 */
export function orderDescriptors({ descriptors }: Pick<Machine, 'descriptors'>): number[] {
  const numbered = descriptors
    .filter((each): each is MachineDescriptor & { fd: number } => each.fd !== null)
    .sort((left, right) => left.fd - right.fd);
  const position = new Map(
    numbered.flatMap((each, index) => numbersOf(each).map((fd): [number, number] => [fd, index])),
  );
  const needs = numbered.map(({ dependsOn }) => dependsOn.flatMap((fd) => position.get(fd) ?? []));
  const { order, cycle } = sortByNeeds(needs);
  const sorted = (positions: readonly number[]) => positions.flatMap((index) => numbered[index] ?? []);
  if (cycle.length > 0) {
    const names = sorted(cycle).map((each) => `${labelOf(each)} (descriptor ${each.fd})`);
    throw new Refusal('DependencyCycle', { cycle: names });
  }
  return sorted(order)
    .filter(({ fate }) => fate === 'preservable')
    .map(({ fd }) => fd);
}

/**
 * What a file is called on a picture: the end of its name, or the place of a device of the host. A file in memory that
 * came through a kexec has lost its name.
 */
function labelOf({ name, pciAddress, guestMemory, kind, size }: MachineDescriptor): string {
  const plain = name.replace(/ \(deleted\)$/, '').replace(/^(\/memfd:|anon_inode:)/, '');
  const end = plain.slice(plain.lastIndexOf('/') + 1);
  const nameless = `${guestMemory ? 'guest memory' : kind.replaceAll('_', ' ')}${size === null ? '' : `, ${inMebibytes(size)}`}`;
  return pciAddress ?? (end || nameless);
}

function detailOf({ kind, size, fd, fate, name }: MachineDescriptor): string {
  const facts = [
    kind.replaceAll('_', ' '),
    size === null ? '' : inMebibytes(size),
    fd === null ? 'mapped only' : `descriptor ${fd}`,
    fate,
  ];
  return `${facts.filter(Boolean).join(', ')}: ${name}`;
}

function whyMachineNeeds({ kind, guestMemory }: MachineDescriptor): string {
  if (guestMemory) return 'it is the guest’s memory';
  switch (orderKindOf(kind)) {
    case 'memory':
      return 'its VMM keeps something in it';
    case 'disk':
      return 'it is a disk of the machine, or another file that it works with';
    case 'device':
      return 'it is a device of the machine';
    default:
      return 'the machine runs in it';
  }
}

const whyFileNeeds = ({ kind }: MachineDescriptor): string =>
  reasons[kind] ?? 'it cannot be restored before it';
