// SPDX-License-Identifier: Apache-2.0
/**
 * What the size of memory costs, from 64 MiB to 8 GiB. It is in small pages and in huge ones, in one file and in a
 * thousand. Every page is there, as of guests that have used all of their memory. Each load is measured once a round,
 * with new machines, and from round to round in the other direction.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { AgentClient } from '@luo-console/agent/client';
import type { LabHost } from '../../src/index.ts';
import { type OnProgress, step } from '../../src/progress.ts';
import { benchHost, connect, installScript, kernelsOf, nodeInHost, runIn } from '../host.ts';
import { adoptGuests, endGuests, numbers, timesOfUpdate, updateOnce } from './agent.ts';
import { installTemplate, unitOf } from './guests.ts';
import { clockMark, type KernelTimes, kernelTimes } from './kernel-times.ts';
import type { Load, PartTimes } from './parts.ts';

export interface MemoryLoad extends Load {
  readonly pages: 'huge' | 'small';
  /** Files of 1 MiB in a session beside the machines. */
  readonly besideFiles: number;
}

const load = (
  guests: number,
  memoryMiB: number,
  pages: MemoryLoad['pages'],
  besideFiles = 0,
): MemoryLoad => ({ guests, memoryMiB, pages, besideFiles });

/** Those that have targets, and what they are compared with. */
export const targetLoads: readonly MemoryLoad[] = [
  load(1, 64, 'huge'),
  load(1, 4096, 'huge'),
  load(8, 64, 'huge'),
  load(8, 1024, 'huge'),
];
export const memoryLoads: readonly MemoryLoad[] = [
  ...targetLoads,
  load(1, 1024, 'huge'),
  load(1, 8192, 'huge'),
  load(1, 64, 'small'),
  load(1, 1024, 'small'),
  load(1, 64, 'small', 1000),
  load(1, 4096, 'small'),
  load(1, 8192, 'small'),
];

/** One update. */
export interface MemoryUpdate {
  readonly times: PartTimes;
  readonly kernel: KernelTimes;
}

export interface MemoryMeasured {
  readonly kernels: readonly string[];
  readonly runs: number;
  readonly updates: ReadonlyMap<MemoryLoad, readonly MemoryUpdate[]>;
}

/** Room for 8 GiB, the host itself, and the next kernel. */
const hostMemory = '11G';
const besideSession = 'beside';
const besideBytes = 1024 * 1024;
/** What new memory files are made of, and whether theirs can be put into huge pages at all. */
const hugeSetting = '/sys/kernel/mm/transparent_hugepage/shmem_enabled';

/** Makes every page of a machine's memory. @param memoryMiB of the machine */
function fill(unit: string, memoryMiB: number): string {
  return `pid=$(systemctl show -P MainPID ${unit}); for fd in /proc/$pid/fd/*; do
    case $(readlink $fd) in /memfd:memory-backend-memfd*) fallocate --length ${memoryMiB}M $fd; exit;; esac
  done; exit 1`;
}

/** @throws Error if the memory of a machine is not in the pages that are wanted */
async function expectPages(agent: AgentClient, { guests, pages }: MemoryLoad): Promise<void> {
  const { entries } = await agent.call('QueryJournal', { name: 'machine.adopt', limit: 2 * guests });
  for (const { kind, session, parameters } of entries) {
    if (kind !== 'result') continue;
    const { bytes = 0, hugeBytes = 0 } = (parameters['hugePages'] ?? {}) as {
      bytes?: number;
      hugeBytes?: number;
    };
    const right = pages === 'huge' ? bytes > 0 && hugeBytes === bytes : hugeBytes === 0;
    if (!right)
      throw new Error(`${session}: ${hugeBytes} of ${bytes} bytes in huge pages, expected ${pages} pages`);
  }
}

/** Marks the kernel's log. @returns when, µs since the epoch on the host's clock, to half a millisecond or so */
async function markClock(host: LabHost): Promise<number> {
  const script = `const before = Date.now();
    require("node:fs").writeFileSync("/dev/kmsg", "<5>${clockMark}\\n");
    console.log(500 * (before + Date.now()));`;
  return Number(await runIn(host, `${nodeInHost} -e '${script}'`));
}

/** @throws Error when the update fails, or a machine does not come through it */
async function measureOne(host: LabHost, program: string, wanted: MemoryLoad): Promise<MemoryUpdate> {
  const { pages, memoryMiB, guests, besideFiles } = wanted;
  const agent = await connect(host);
  try {
    await endGuests(host, agent);
    const { sessions } = await agent.call('ListSessions', {});
    for (const { name } of sessions) await agent.call('CloseSession', { name });
    await runIn(host, `echo ${pages === 'huge' ? 'always' : 'deny'} > ${hugeSetting}`);
    await adoptGuests(host, agent, wanted, {
      started: async (guest) => void (await runIn(host, fill(unitOf(guest), memoryMiB))),
    });
    await expectPages(agent, wanted);
    if (besideFiles > 0)
      await runIn(host, `${nodeInHost} ${program} ${besideSession} ${besideFiles} ${besideBytes}`);
    const from = await host.serialPosition();
    const markedAtUs = await markClock(host);
    const update = await updateOnce(host, agent);
    const times = timesOfUpdate(update, guests);
    const log = (await readFile(host.serialLog, 'latin1')).slice(from);
    return { times, kernel: kernelTimes(log, update, times.kexec, markedAtUs) };
  } finally {
    agent.close();
  }
}

/** What is measured, in words. */
export function loadWords({ guests, memoryMiB, pages, besideFiles }: MemoryLoad): string {
  const size = memoryMiB < 1024 ? `${memoryMiB} MiB` : `${memoryMiB / 1024} GiB`;
  const beside = besideFiles === 0 ? '' : `, ${besideFiles} files of 1 MiB beside`;
  return `${guests} × ${size}, ${pages} pages${beside}`;
}

export async function measureMemory(
  loads: readonly MemoryLoad[],
  runs: number,
  onProgress: OnProgress,
): Promise<MemoryMeasured> {
  await using host = await benchHost('memory', hostMemory, onProgress);
  const kernels = (await kernelsOf(host)).map((path) => basename(path).replace('vmlinuz-', ''));
  await installTemplate(host);
  const program = await installScript(host, 'blackout/beside-program.ts');
  const updates = new Map<MemoryLoad, MemoryUpdate[]>(loads.map((each) => [each, []]));
  for (const round of numbers(runs)) {
    for (const each of round % 2 === 0 ? loads : loads.toReversed()) {
      await step(onProgress, `${loadWords(each)}, ${round + 1} of ${runs}`, async () => {
        updates.get(each)?.push(await measureOne(host, program, each));
      });
    }
  }
  return { kernels, runs, updates };
}
