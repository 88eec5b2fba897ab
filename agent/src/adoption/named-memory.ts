// SPDX-License-Identifier: Apache-2.0
/** Which of a VMM's descriptors is the file of which of its memory backends, and where that is preserved. */
import type { Descriptor, Native } from '@luo-console/native';
import type { Machine, MachineDescriptor } from '../interface/agent.generated.ts';
import type { Place } from '../liveupdate/session-entries.ts';
import { memoryFilesOf } from '../qemu/restart-command.ts';
import type { SavedMachine } from './saved-machine.ts';

export interface NamedMemorySources {
  readonly native: Native;
  take(pid: number, fd: number): Descriptor;
  whereIs(facts: { dev: bigint; ino: bigint }): Place | null;
}

/** @throws Error if the file of a backend is not open in the VMM, or not preserved */
export function placesOfMemory(
  { native, take, whereIs }: NamedMemorySources,
  machine: Machine,
  words: readonly string[],
): SavedMachine['memory'] {
  return memoryFilesOf(words).map(({ backend, path }) => {
    const fd = descriptorOf(machine, path);
    if (fd === null)
      throw new Error(`${path}, the file of its memory backend ${backend}, is not open in its VMM`);
    using file = take(machine.pid, fd);
    const place = whereIs(native.memory.fileFacts(file));
    if (place === null)
      throw new Error(`${path}, the file of its memory backend ${backend}, is not preserved`);
    return { backend, ...place };
  });
}

/** The number of a descriptor that the VMM has of the file. */
function descriptorOf({ descriptors }: Machine, path: string): number | null {
  const inherited = /^\/(?:proc\/self|dev)\/fd\/(\d+)$/.exec(path)?.[1];
  const fits = ({ fd, duplicates, name }: MachineDescriptor): boolean => {
    if (inherited !== undefined) return [fd, ...duplicates].includes(Number(inherited));
    return name.replace(/ \(deleted\)$/, '') === path;
  };
  return descriptors.find((each) => each.fd !== null && fits(each))?.fd ?? null;
}
