// SPDX-License-Identifier: Apache-2.0
/**
 * The files that a VMM has open or mapped and that matter to a live update. A VMM can have thousands. Most are known by
 * the text of their link alone. The others are looked at a few at a time, so that no other caller waits behind them.
 * Files closed meanwhile are skipped.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { accessMode } from '../host/access-mode.ts';
import { fileKey, type MappedFile, mappedFiles } from '../host/process-files.ts';
import type { Kind, MachineFile } from '../interface/agent.generated.ts';
import { type StatedDevice, statedDevice } from './device-needs.ts';
import { isPlace, kindOfFile, kindOfName } from './vmm-file-kind.ts';

/** What is found out about a file through its link. */
export interface LinkedFile {
  readonly kind: Kind;
  readonly name: string;
  /** In bytes; null if its file system was not asked. */
  readonly size: number | null;
  readonly inode: number;
  readonly device: number;
  readonly regular: boolean;
  /** The device that it is, as `st_rdev` of stat(2); null unless it is a character device. */
  readonly characterDevice: number | null;
}

export interface FileSources {
  readonly proc: string;
  readonly sys: string;
  /** Describes the file behind a link such as `/proc/1/fd/3`. */
  describe(link: string): Promise<LinkedFile>;
}

export interface OpenFile {
  /** Null for one that is mapped only. */
  readonly fd: number | null;
  readonly duplicates: readonly number[];
  readonly kind: MachineFile;
  readonly name: string;
  readonly size: number | null;
  readonly inode: number | null;
  /** Null where the number of the inode says nothing: the kernel's nameless files all share one. */
  readonly device: number | null;
  readonly mapped: MappedFile | null;
  readonly pciAddress: string | null;
  /** For a device whose driver says what it needs: which it is, and that. */
  readonly stated: StatedDevice | null;
}

export interface OpenFiles {
  readonly files: readonly OpenFile[];
  /** Descriptors that do not matter. */
  readonly others: number;
}

/** Files looked at together; as many as keep libuv's threads busy. */
const atOnce = 16;
/** More than this of one process are counted but not listed. */
const mostListed = 16_384;

const memoryKinds: ReadonlySet<MachineFile> = new Set([
  'memfd',
  'tmpfs_unlinked',
  'tmpfs_linked',
  'hugetlb',
  'guest_memfd',
]);

/** Whether a file of this kind can hold a guest's memory. */
export const holdsMemory = (kind: MachineFile): boolean => memoryKinds.has(kind);

/** The numbers and names of a process's descriptors, in order. */
export async function descriptorLinks(proc: string, pid: number): Promise<{ fd: number; name: string }[]> {
  const directory = `${proc}/${pid}/fd`;
  const numbers = (await readdir(directory).catch(() => [])).map(Number).sort((left, right) => left - right);
  const links: { fd: number; name: string }[] = [];
  await inTurns(numbers, async (fd) => {
    const name = await readlink(`${directory}/${fd}`).catch(() => null);
    if (name !== null) links.push({ fd, name });
  });
  return links.sort((left, right) => left.fd - right.fd);
}

/** The files of a process that matter, by descriptor; those that are mapped only come last. */
export async function openFiles(
  sources: FileSources,
  pid: number,
  links: readonly { fd: number; name: string }[],
): Promise<OpenFiles> {
  const mapped = await mappedFiles(sources.proc, pid);
  const found = new Map<string, OpenFile>();
  let others = Math.max(0, links.length - mostListed);
  const looked: { fd: number; file: OpenFile | null }[] = [];
  await inTurns(links.slice(0, mostListed), async ({ fd, name }) => {
    looked.push({ fd, file: await lookAt(sources, pid, fd, name, mapped) });
  });
  looked.sort((left, right) => left.fd - right.fd);
  for (const { fd, file } of looked) {
    if (file === null) others += 1;
    else {
      // Only a file with its own number can be recognised.
      const { device, inode } = file;
      const key = device === null || inode === null ? `fd ${fd}` : fileKey(device, inode);
      const before = found.get(key);
      found.set(key, before ? { ...before, duplicates: [...before.duplicates, fd] } : file);
    }
  }
  const files = [...found.values()];
  for (const [key, mapping] of mapped) {
    if (!found.has(key)) files.push(...(await mappedOnly(sources, pid, mapping)));
  }
  return { files, others };
}

async function lookAt(
  sources: FileSources,
  pid: number,
  fd: number,
  name: string,
  mapped: ReadonlyMap<string, MappedFile>,
): Promise<OpenFile | null> {
  const nothing = { size: null, inode: null, device: null, mapped: null, pciAddress: null, stated: null };
  const base = { fd, duplicates: [], name, ...nothing };
  const known = kindOfName(name);
  if (known !== null && known !== 'guest_memfd') {
    const inode = /^socket:\[(\d+)\]$/.exec(name)?.[1];
    const pciAddress = known === 'vfio_device' ? await pciAddressOf(sources, pid, fd, name) : null;
    return { ...base, kind: known, inode: inode === undefined ? null : Number(inode), pciAddress };
  }
  // Standard streams lead to logs and terminals.
  if (known === null && (fd <= 2 || !isPlace(name))) return null;
  try {
    const file = await sources.describe(`${sources.proc}/${pid}/fd/${fd}`);
    const kind =
      known ?? kindOfFile(file.name, file.kind, file.regular, await isWriteOnly(sources.proc, pid, fd));
    if (kind === null) return null;
    const { size, inode, device, characterDevice } = file;
    return {
      ...base,
      kind,
      name: file.name,
      size: file.regular ? size : null,
      inode,
      device,
      mapped: mapped.get(fileKey(device, inode)) ?? null,
      stated:
        kind === 'device' && characterDevice !== null
          ? await statedDevice(sources.sys, characterDevice)
          : null,
    };
  } catch {
    return null;
  }
}

/** Guest memory that has no descriptor any more. */
async function mappedOnly(sources: FileSources, pid: number, mapping: MappedFile): Promise<OpenFile[]> {
  if (mapping.shared === 0) return [];
  try {
    const file = await sources.describe(`${sources.proc}/${pid}/map_files/${mapping.range}`);
    const kind = kindOfName(mapping.name) ?? kindOfFile(file.name, file.kind, file.regular, false);
    if (kind === null || !holdsMemory(kind)) return [];
    const { name, size, inode, device } = file;
    const nothing = { pciAddress: null, stated: null };
    return [{ fd: null, duplicates: [], kind, name, size, inode, device, mapped: mapping, ...nothing }];
  } catch {
    return [];
  }
}

async function isWriteOnly(proc: string, pid: number, fd: number): Promise<boolean> {
  const text = await readFile(`${proc}/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '');
  return accessMode(text) === 'write';
}

/**
 * The PCI address of a VFIO device, for example `0000:01:00.0`: of a character device from sysfs, of one that
 * came from its group from the path that `fdinfo` shows (`vfio_device_show_fdinfo`), where the kernel shows it.
 */
async function pciAddressOf(
  { proc, sys }: FileSources,
  pid: number,
  fd: number,
  name: string,
): Promise<string | null> {
  const place = name.startsWith('/dev/vfio/devices/')
    ? await readlink(`${sys}/class/vfio-dev/${basename(name)}/device`).catch(() => '')
    : (/^vfio-device-syspath:\s*(\S+)$/m.exec(
        await readFile(`${proc}/${pid}/fdinfo/${fd}`, 'utf8').catch(() => ''),
      )?.[1] ?? '');
  const address = basename(place);
  return /^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i.test(address) ? address : null;
}

/** Does `work` for each, some at a time. */
async function inTurns<T>(all: readonly T[], work: (each: T) => Promise<void>): Promise<void> {
  for (let index = 0; index < all.length; index += atOnce) {
    await Promise.all(all.slice(index, index + atOnce).map(work));
  }
}
