// SPDX-License-Identifier: Apache-2.0
/**
 * What an agent does before anything else: take back what the service manager kept, and let machines run again
 * that a live update brought here. It is a part of its own because a program is read and set up before it runs: the
 * rest of the agent, which is most of it, is loaded when the machines run.
 */
import { join } from 'node:path';
import type { Descriptor, Native } from '@luo-console/native';
import type { VmmStarter } from '../../adoption/restore.ts';
import { vmmUnits } from '../../adoption/vmm-units.ts';
import type { Log } from '../../host/log.ts';
import type { HostPaths } from '../../host/paths.ts';
import { readHandoverLog, readKernelLog } from '../../kernel/log.ts';
import { DescriptorStore, parseStoredName } from '../../liveupdate/descriptor-store.ts';
import { Device, type Patience, usualPatience } from '../../liveupdate/device.ts';
import type { HandedBack } from '../../liveupdate/intake.ts';
import { type ResumedMachines, resumeMachines } from './resume-machines.ts';

export interface FirstOptions {
  readonly native: Native;
  readonly paths: HostPaths;
  readonly log: Log;
  /** Places in the service manager's descriptor store; null if it does not say or there is none. */
  readonly descriptorStoreLimit: number | null;
  readonly patience?: Patience;
  /** Starts VMMs; the service manager if none is given. */
  readonly starter?: VmmStarter;
}

/** What the rest of the agent begins with. */
export interface FirstThings {
  readonly store: DescriptorStore;
  /** A directory for the sockets by which machines are handed over. */
  readonly socketDirectory: string;
  /** The socket to answer on, if the service manager handed one in. */
  readonly listening: Descriptor | null;
  /** Descriptors of sessions: kept by the service manager, or retrieved for the machines. */
  readonly handed: readonly HandedBack[];
  readonly resumed: ResumedMachines | null;
}

/** Machines may be standing still since before the kexec: nothing comes before them, not even the journal. */
export async function doFirstThings(options: FirstOptions): Promise<FirstThings> {
  const { native, paths, log } = options;
  const startedAt = native.kernel.clock('boottime');
  // Why there is no device is found out by whoever is asked for it; here it only means that nothing came.
  const unexplained = async () => ({ availability: 'unexplained' as const, explanation: '' });
  const device = new Device(native.liveUpdate, paths, unexplained, options.patience ?? usualPatience);
  const store = new DescriptorStore(native, options.descriptorStoreLimit);
  const socketDirectory = join(paths.runtime, 'handing-over');
  const starter = options.starter ?? vmmUnits(native, paths.sys);
  const { listening, handed: kept } = sortHanded(native.serviceManager.takeListenFds());
  const nothingCame = (): boolean => {
    const { complete, found } = readHandoverLog(readKernelLog(paths) ?? []);
    return complete && !found;
  };
  const context = { native, device, store, starter, socketDirectory, startedAt, log, nothingCame };
  const { handed, resumed } = await resumeMachines(context, kept);
  return { store, socketDirectory, listening, handed, resumed };
}

/** Tells the listening socket from descriptors of sessions. */
function sortHanded(handed: readonly HandedBack[]): { listening: Descriptor | null; handed: HandedBack[] } {
  const others = handed.filter(({ name }) => parseStoredName(name).kind === 'other');
  const [first, ...rest] = others;
  for (const { descriptor } of rest) descriptor.close();
  return { listening: first?.descriptor ?? null, handed: handed.filter((each) => !others.includes(each)) };
}
