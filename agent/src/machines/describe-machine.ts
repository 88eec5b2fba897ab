// SPDX-License-Identifier: Apache-2.0
/**
 * One virtual machine, put together from what its process has open, what its command line says and what its
 * monitor answers. Where they differ the monitor is right, then the process, then the command line.
 */

import type { Native } from '@luo-console/native';
import { visible } from '../host/plain-words.ts';
import {
  fileKey,
  filesInMemory,
  type ProcessIdentity,
  programWasReplaced,
  stillThere,
} from '../host/process-files.ts';
import { type UnixSocket, unixSocketsOf } from '../host/unix-sockets.ts';
import type {
  Accelerator,
  Machine,
  MachineDescriptor,
  MachineFile,
  Rehearsal,
} from '../interface/agent.generated.ts';
import { type QemuCommandLine, readQemuCommandLine } from '../qemu/command-line.ts';
import type { QmpOptions } from '../qemu/qmp-client.ts';
import type { BlockFilesAnswer } from './block-files.ts';
import { dependenciesOf, unmetNeeds } from './dependencies.ts';
import { fateOf } from './fates.ts';
import type { Example, KernelAnswer } from './kernel-answers.ts';
import { type Asked, askMonitor } from './monitor.ts';
import { type FileSources, holdsMemory, type OpenFile, openFiles } from './open-files.ts';
import { serialConsoleOf } from './serial-console.ts';
import { findWay } from './ways.ts';

export interface MachineSources extends FileSources {
  /** Where a file is preserved already, or null. */
  whereIs(facts: { dev: bigint; ino: bigint }): { session: string; token: string } | null;
  commandOf(pid: number): Promise<string | null>;
  userOf(uid: number): string;
  /** What the agent keeps of a machine that was adopted; null of another. */
  adoptionOf(identity: ProcessIdentity): Pick<Machine, 'session' | 'definition' | 'priority'> | null;
  /** How the last rehearsal of a VMM went. @param devices that it has, in its words; null if it could not be asked */
  rehearsalOf(identity: ProcessIdentity, devices: readonly string[] | null): Promise<Rehearsal | null>;
  /** Whether a process is only there for a rehearsal: it is no machine. */
  isRehearsed(pid: number): boolean;
  /** What it takes to start it again in the next kernel, if it was adopted. */
  needsOf(identity: ProcessIdentity): Promise<Pick<Machine, 'needs' | 'obstacle'>>;
  /** Told what a machine's VMM says of the files of its block nodes, before `needsOf` is asked. */
  heardBlockFiles(identity: ProcessIdentity, answer: BlockFilesAnswer): void;
  /** Seals of a process's memory file; null if they cannot be had. */
  sealsOf(pid: number, fd: number): number | null;
  /** What the kernel says of a kind of file; null if it was not asked. */
  askKernel(kind: MachineFile, example: Example): Promise<KernelAnswer | null>;
  /**
   * Whether monitors may be asked. While machines are brought back they may not: a monitor admits one client, and that
   * has to be whoever brings its machine back.
   */
  mayAskMonitors(): boolean;
  /** For the connection to a monitor. */
  readonly sockets: Native['sockets'];
  readonly qmp?: QmpOptions;
}

export interface Vmm {
  readonly identity: ProcessIdentity;
  readonly words: readonly string[];
  readonly links: readonly { fd: number; name: string }[];
  readonly user: string;
  readonly command: string;
  /** `QEMU`, or the name of the program. */
  readonly vmm: string;
}

/** VMMs that write a machine's state out and start another from it. */
const stateSavers = /^(QEMU|cloud-hypervisor|firecracker|crosvm)$/;

/**
 * @returns the machine, and for each of its descriptors what tells its file from others
 * @throws ProcessGone
 */
export async function describeMachine(
  sources: MachineSources,
  vmm: Vmm,
): Promise<{ machine: Machine; keys: (string | null)[] }> {
  const { proc } = sources;
  const { identity, links } = vmm;
  const { pid } = identity;
  const line = readQemuCommandLine(vmm.vmm === 'QEMU' ? vmm.words : []);
  const sockets = await unixSocketsOf(proc, pid);
  const [{ files, others }, asked] = await Promise.all([
    openFiles(sources, pid, links),
    askMonitor(
      {
        proc,
        pid,
        monitors: line.monitors,
        socketInodes: socketInodes(links),
        sockets,
        native: sources.sockets,
        qmp: sources.qmp,
      },
      sources.mayAskMonitors(),
    ),
  ]);
  const named = files.map((file) => nameSocket(file, sockets));
  const descriptors: MachineDescriptor[] = [];
  for (const file of named) {
    descriptors.push(await describeFile(sources, vmm, line, { file, unmet: unmetNeeds(file, named) }));
  }
  const dependent = descriptors.map((each, index) => ({ ...each, stated: named[index]?.stated ?? null }));
  const complete = descriptors.map((each, index) => {
    const node = dependent[index];
    return { ...each, dependsOn: node ? dependenciesOf(node, dependent) : [] };
  });
  if (asked.facts !== null) sources.heardBlockFiles(identity, asked.facts.blockFiles);
  const needs = await sources.needsOf(identity);
  const rehearsal = await sources.rehearsalOf(identity, asked.facts?.migration.plugged ?? null);
  const programReplaced = await programWasReplaced(proc, pid);
  // Under its old name there may be a link back to a memory file that has none any more.
  const memoryFiles = new Set(
    named.filter(({ mapped }) => mapped !== null).map(({ name }) => name.replace(/ \(deleted\)$/, '')),
  );
  const transientFiles = await filesInMemory(
    proc,
    pid,
    [...line.files].filter((path) => !path.startsWith('/proc/') && !memoryFiles.has(path)),
  );
  // What was read of a process that has ended meanwhile may be half of it, or another's.
  await stillThere(proc, identity);
  const identified = identifyMachine(vmm, line, named, asked);
  const machine: Machine = {
    ...identified,
    memoryInFiles: named.reduce((sum, { mapped }) => sum + (mapped?.shared ?? 0), 0),
    sharesMemoryWith: [],
    descriptors: complete,
    otherDescriptors: others,
    ...findWay({
      vmm: vmm.vmm,
      version: identified.version,
      state: identified.state,
      words: vmm.words,
      line,
      monitorDetail: asked.detail,
      migration: asked.facts?.migration ?? null,
      programReplaced,
      transientFiles,
      descriptors: complete,
      memory: identified.memory,
    }),
    ...(sources.adoptionOf(identity) ?? { session: null, definition: null, priority: null }),
    consolePath: consoleOf(vmm),
    ...needs,
    rehearsal,
  };
  return { machine, keys: named.map(keyOf) };
}

function consoleOf({ vmm, words }: Vmm): string | null {
  const path = vmm === 'QEMU' ? serialConsoleOf(words) : null;
  return path === null ? null : visible(path);
}

function identifyMachine(vmm: Vmm, line: QemuCommandLine, files: readonly OpenFile[], asked: Asked) {
  const { facts } = asked;
  const vcpus = files.filter(({ kind }) => kind === 'kvm_vcpu').length;
  const hasKvm = files.some(({ kind }) => kind === 'kvm_vm');
  return {
    name: visible(facts?.name ?? line.name ?? vmm.command),
    pid: vmm.identity.pid,
    user: vmm.user,
    command: vmm.command,
    vmm: vmm.vmm,
    version: facts?.version ?? null,
    vcpus: facts?.vcpus ?? (vcpus > 0 ? vcpus : line.vcpus),
    memory: facts?.memory ?? line.memory,
    state: facts?.state ?? ('unknown' as const),
    accelerator: hasKvm ? ('kvm' as const) : acceleratorOf(line.accelerator, facts?.accelerator),
    monitor: asked.monitor,
    monitorPath: asked.path === null ? null : visible(asked.path),
    monitorDetail: visible(asked.detail),
  };
}

function acceleratorOf(named: string | null, asked: Accelerator | undefined): Accelerator {
  if (named === 'tcg' || named === 'kvm') return asked ?? named;
  return named === null ? (asked ?? 'unknown') : 'other';
}

/** The inode of each socket, by the number of its descriptor. */
function socketInodes(links: readonly { fd: number; name: string }[]): Map<number, number> {
  const inodes = new Map<number, number>();
  for (const { fd, name } of links) {
    const inode = /^socket:\[(\d+)\]$/.exec(name)?.[1];
    if (inode !== undefined) inodes.set(fd, Number(inode));
  }
  return inodes;
}

/** Says of a Unix socket where it is and whether it listens. */
function nameSocket(file: OpenFile, sockets: readonly UnixSocket[]): OpenFile {
  if (file.kind !== 'socket') return file;
  const socket = sockets.find(({ inode }) => inode === file.inode);
  if (!socket) return file;
  const name = `${socket.listens ? 'listening' : 'connected'} ${socket.path ?? file.name}`;
  return { ...file, name };
}

/** What tells a machine's file from others; null for one that cannot be told. */
export const keyOf = ({ device, inode }: OpenFile): string | null =>
  device === null || inode === null ? null : fileKey(device, inode);

async function describeFile(
  sources: MachineSources,
  { identity: { pid }, vmm }: Vmm,
  line: QemuCommandLine,
  { file, unmet }: { file: OpenFile; unmet: readonly string[] },
): Promise<MachineDescriptor> {
  const { kind, fd, device, inode, mapped } = file;
  const isMemory = holdsMemory(kind);
  const guestMemory = isMemory && (kind === 'guest_memfd' || mapped !== null);
  const place =
    (isMemory || file.stated !== null) && device !== null && inode !== null
      ? sources.whereIs({ dev: BigInt(device), ino: BigInt(inode) })
      : null;
  // Unlinked tmpfs files and memfds have one handler.
  const answer = await sources.askKernel(kind === 'tmpfs_unlinked' ? 'memfd' : kind, { pid, fd });
  const [pciAddress] = line.pciAddresses.length === 1 ? line.pciAddresses : [];
  return {
    fd,
    duplicates: [...file.duplicates],
    kind,
    name: visible(file.name),
    size: file.size,
    inode,
    guestMemory,
    pciAddress: kind === 'vfio_device' ? (file.pciAddress ?? pciAddress ?? null) : null,
    dependsOn: [],
    sharedWith: [],
    ...fateOf(file, {
      answer,
      // A memfd that came through a kexec has lost its name, and is an unlinked tmpfs file.
      seals: (kind === 'memfd' || kind === 'tmpfs_unlinked') && fd !== null ? sources.sealsOf(pid, fd) : null,
      place,
      guestMemory,
      savesState: stateSavers.test(vmm),
      onCommandLine: line.files.has(file.name),
      unmet,
    }),
    session: place?.session ?? null,
    token: place?.token ?? null,
  };
}
