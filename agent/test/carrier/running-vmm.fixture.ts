// SPDX-License-Identifier: Apache-2.0
/**
 * A VMM that runs, for tests in which the compiled carrier starts another one beside it (`fake-qemu.ts`). It is a process
 * with a file of memory, whose monitor this process serves.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Descriptor } from '@luo-console/native';
import { type FakeVmm, startFakeVmm } from '../../src/adoption/fake-vmm.fixture.ts';
import { identify } from '../../src/host/process-files.ts';
import type { Machine } from '../../src/interface/agent.generated.ts';
import type { MachineHead } from '../../src/liveupdate/machine-head.ts';
import { sampleMachine } from '../../src/luocon/machine.fixture.ts';
import { memfdWith } from '../scenario.ts';

export const session = 'machine:vm';
export const memoryText = 'the memory of the running machine';
/** What its command line says of that memory. */
export const namedMemory = [
  '-object',
  'memory-backend-file,id=ram,size=33,mem-path=/proc/self/fd/3,share=on',
] as const;

export interface RunningVmm {
  readonly guest: FakeVmm;
  readonly process: ChildProcess;
  readonly pid: number;
  readonly startTime: string;
  readonly memory: Descriptor;
  /** Which process is at the other end, by the path of a socket. */
  readonly peers: Map<string, number>;
}

/** @param vmm how its monitor answers */
export async function startRunningVmm(
  vmm: Omit<NonNullable<Parameters<typeof startFakeVmm>[0]>, 'channel'>,
): Promise<RunningVmm> {
  const peers = new Map<string, number>();
  let pid = 0;
  const guest = await startFakeVmm({ ...vmm, channel: (path) => void peers.set(path, pid) });
  const memory = memfdWith(memoryText);
  // A limit that this process may not raise again would keep the next VMM from being started.
  const process = spawn('sh', ['-c', 'ulimit -n 512; echo; read line'], {
    stdio: ['pipe', 'pipe', 'ignore', memory.fd],
  });
  await once(process.stdout ?? process, 'data');
  pid = process.pid ?? 0;
  peers.set(guest.path, pid);
  const { startTime = '' } = (await identify('/proc', pid)) ?? {};
  return { guest, process, pid, startTime, memory, peers };
}

export interface NextVmm {
  /** Where it says how it was started. */
  readonly report: string;
  /** What it does otherwise. */
  readonly whim: string;
  readonly directory: string;
  /** Behind the words that all have. */
  readonly words: readonly string[];
}

/** The machine as the manifest has it: with this command its next VMM is started. */
export function headOf(
  { guest, pid, startTime }: RunningVmm,
  way: MachineHead['way'],
  { report, whim, directory, words }: NextVmm,
): MachineHead {
  const command = {
    program: '/usr/bin/env',
    words: [
      ...[`REPORT=${report}`, `WHIM=${whim}`, process.execPath],
      join(import.meta.dirname, 'fake-qemu.ts'),
      ...['-qmp', `unix:${guest.path},server=on,wait=off`],
      ...words,
    ],
    directory,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
  };
  return {
    ...{ name: 'vm', definition: null, definitionText: null, way, priority: 0, pid, startTime },
    ...{ bootId: 'this', monitor: guest.path, command, unlinked: [], suspended: false, before: null },
  };
}

/** The machine as it is found. @param version of its QEMU */
export function foundMachine({ pid }: RunningVmm, version: string): Machine {
  const [memory] = sampleMachine.descriptors;
  if (!memory) throw new Error('the sample has no descriptor');
  return { ...sampleMachine, pid, version, descriptors: [{ ...memory, fd: 3 }] };
}

/** A procfs in which process 1 has what this process has: it may not be looked at here. @returns where it is */
export function makeProc(directory: string, { pid }: RunningVmm): string {
  const proc = join(directory, 'proc');
  mkdirSync(join(proc, '1'), { recursive: true });
  symlinkSync('/', join(proc, '1/root'));
  symlinkSync('/proc/self/ns', join(proc, '1/ns'));
  writeFileSync(join(proc, '1/mountinfo'), '29 1 0:26 / / rw shared:1 - ext4 /dev/vda rw\n');
  symlinkSync(`/proc/${pid}`, join(proc, `${pid}`));
  return proc;
}
