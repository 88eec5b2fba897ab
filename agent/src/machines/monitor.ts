// SPDX-License-Identifier: Apache-2.0
/**
 * Asking a machine's monitor who it is, without disturbing anybody. QEMU admits one client to a monitor and lets one or
 * two more queue. A client in the queue keeps out the manager that comes back. So the agent looks at the kernel's table
 * of sockets before it connects. A monitor that has a client, as libvirt's always has, is `busy` and left alone. The
 * table belongs to a network namespace, and a connection to that of the client (`unix_stream_connect`). A client in
 * another namespace than the machine's is not in the table; silence is then the only sign.
 */
import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Native } from '@luo-console/native';
import * as v from 'valibot';
import { saidBy } from '../host/said-by.ts';
import { socketSeenBy } from '../host/seen-by.ts';
import type { UnixSocket } from '../host/unix-sockets.ts';
import type { Accelerator, MachineState, MonitorState } from '../interface/agent.generated.ts';
import { askBlockNodes } from '../qemu/block-nodes.ts';
import type { MonitorSocket } from '../qemu/command-line.ts';
import { QmpClient, QmpError, type QmpFailure, type QmpOptions } from '../qemu/qmp-client.ts';
import type { BlockFilesAnswer } from './block-files.ts';
import { askMigration } from './monitor-migration.ts';
import type { MigrationFacts } from './ways.ts';

export interface Asked {
  readonly monitor: MonitorState;
  readonly path: string | null;
  /** What went wrong, for people; empty if nothing did. */
  readonly detail: string;
  readonly facts: MonitorFacts | null;
}

export interface MonitorFacts {
  readonly name: string | null;
  readonly version: string;
  readonly vcpus: number;
  /** Bytes. */
  readonly memory: number;
  readonly state: MachineState;
  readonly accelerator: Accelerator;
  readonly migration: MigrationFacts;
  readonly blockFiles: BlockFilesAnswer;
}

export interface MonitorAddress {
  readonly proc: string;
  readonly pid: number;
  readonly monitors: readonly MonitorSocket[];
  /** Of the process, by the number of its descriptor. */
  readonly socketInodes: ReadonlyMap<number, number>;
  /** Of the process's network namespace. */
  readonly sockets: readonly UnixSocket[];
  readonly native: Native['sockets'];
  readonly qmp?: QmpOptions | undefined;
}

// QEMU's RunState, qapi/run-state.json.
const states: Readonly<Record<string, MachineState>> = {
  running: 'running',
  paused: 'paused',
  debug: 'paused',
  'save-vm': 'paused',
  'restore-vm': 'paused',
  'finish-migrate': 'paused',
  colo: 'paused',
  prelaunch: 'prelaunch',
  inmigrate: 'incoming',
  postmigrate: 'migrated',
  suspended: 'suspended',
  shutdown: 'shut_down',
  'io-error': 'failed',
  'internal-error': 'failed',
  'guest-panicked': 'failed',
  watchdog: 'failed',
};

const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const Name = v.object({ name: v.optional(v.pipe(v.string(), v.maxLength(256))) });
const Status = v.object({ status: v.pipe(v.string(), v.maxLength(64)) });
const Cpus = v.pipe(v.array(v.object({ 'cpu-index': size })), v.maxLength(65_536));
const Memory = v.object({ 'base-memory': size, 'plugged-memory': v.optional(size, 0) });
const Kvm = v.object({ enabled: v.boolean(), present: v.boolean() });

const stateOfFailure: Readonly<Record<QmpFailure, MonitorState>> = {
  unreachable: 'unreachable',
  stranger: 'unreachable',
  busy: 'busy',
  silent: 'silent',
  malformed: 'malformed',
  refused: 'malformed',
  ended: 'unreachable',
};

const leftAlone = 'machines are being brought back, and no monitor is asked meanwhile';

/**
 * Tries the monitors one after the other until one answers. A failure is an answer, not an error.
 *
 * @param mayAsk if not, none is connected to, and each is `busy`
 */
export async function askMonitor(address: MonitorAddress, mayAsk = true): Promise<Asked> {
  let last: Asked = { monitor: 'none', path: null, detail: 'it has no monitor socket', facts: null };
  for (const monitor of address.monitors) {
    last = await askOne(address, monitor, mayAsk);
    if (last.facts !== null) return last;
  }
  return last;
}

async function askOne(address: MonitorAddress, monitor: MonitorSocket, mayAsk: boolean): Promise<Asked> {
  const { sockets, socketInodes } = address;
  const own = new Set(socketInodes.values());
  // The process must be the one that listens: a path alone could lead to anybody.
  const listening = sockets.find(({ inode, listens, path }) => {
    if (!listens || !own.has(inode)) return false;
    return 'fd' in monitor ? socketInodes.get(monitor.fd) === inode : path === monitor.path;
  });
  const path = listening?.path ?? ('path' in monitor ? monitor.path : null);
  const shown = path === null ? null : await absolute(address, path);
  const failed = (state: MonitorState, detail: string): Asked => {
    return { monitor: state, path: shown, detail, facts: null };
  };
  // Accepted connections carry the path of the socket they came by, and so do those that queue, with no inode.
  const taken = sockets.some(
    (each) =>
      !each.listens && each.path === path && path !== null && (each.inode === 0 || own.has(each.inode)),
  );
  if (taken) return failed('busy', 'another client is connected to it');
  if (!mayAsk) return failed('busy', leftAlone);
  // A monitor with a client stops listening only inside QEMU; to the kernel it goes on.
  if (listening === undefined || path === null) return failed('unreachable', 'nobody listens there');
  if (path.startsWith('@')) return failed('unreachable', 'its socket has no path in the file system');
  try {
    return { monitor: 'answered', path: shown, detail: '', facts: await question(address, path) };
  } catch (error) {
    if (error instanceof QmpError) return failed(stateOfFailure[error.failure], error.message);
    throw error;
  }
}

/** A path that is relative to where its process stands, made absolute. */
async function absolute({ proc, pid }: MonitorAddress, path: string): Promise<string> {
  if (/^[/@]/.test(path)) return path;
  return join(await readlink(`${proc}/${pid}/cwd`).catch(() => ''), path);
}

async function question(address: MonitorAddress, path: string): Promise<MonitorFacts> {
  const { native: sockets, proc, pid } = address;
  // The path may lead elsewhere by now: the kernel says who it was that listened.
  using client = await QmpClient.open({ sockets, path: socketSeenBy(proc, pid, path), pid }, address.qmp);
  const [{ name = null }, { status }, cpus, memory, kvm] = await Promise.all([
    client.execute('query-name', Name),
    client.execute('query-status', Status),
    client.execute('query-cpus-fast', Cpus),
    client.execute('query-memory-size-summary', Memory),
    client.execute('query-kvm', Kvm),
  ]);
  const migration = await askMigration(client);
  // Last, as nothing else depends on it: a machine is one without it, too.
  const blockFiles: BlockFilesAnswer = await askBlockNodes(client).catch((error: unknown) => ({
    problem: saidBy(error),
  }));
  return {
    name,
    version: client.version,
    vcpus: cpus.length,
    memory: memory['base-memory'] + memory['plugged-memory'],
    state: states[status] ?? 'other',
    // What runs a guest without KVM on Linux is TCG, or Xen, which the command line tells.
    accelerator: kvm.enabled ? 'kvm' : 'tcg',
    migration,
    blockFiles,
  };
}
