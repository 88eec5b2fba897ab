// SPDX-License-Identifier: Apache-2.0
/** Adoptions for tests: the double's kernel, sessions and a journal of their own, and processes that stand for VMMs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fchmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Descriptor, type Native, native as realNative } from '@luo-console/native';
import { LiveUpdateDouble } from '@luo-console/native/double';
import { onTestFinished } from 'vitest';
import { type HostPaths, realHostPaths } from '../host/paths.ts';
import { Refusal } from '../host/refusal.ts';
import { standIns } from '../host/stand-ins.fixture.ts';
import { Unended } from '../host/unended.ts';
import type { Machine, MachineDescriptor } from '../interface/agent.generated.ts';
import { Journal } from '../journal/index.ts';
import { DescriptorStore } from '../liveupdate/descriptor-store.ts';
import { Device } from '../liveupdate/device.ts';
import { agentItself } from '../liveupdate/live-update-context.ts';
import { SessionStore } from '../liveupdate/sessions.ts';
import type { RenewalsLeft } from './adoption-context.ts';
import { Adoptions } from './adoptions.ts';
import type { VmmStarter } from './restore.ts';

const patience = { firstMs: 1, totalMs: 20 };

/** Options of an adoption that allows nothing. */
export const plain = { unlink: false, definition: null, priority: null };

/** Ends a VMM. */
export async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const not = async (): Promise<never> => {
  throw new Error('nothing is started here');
};
const noStarter: VmmStarter = { resume: not, settle: not, pid: not, stop: not, adopt: not };

export class AdoptionScene implements Disposable {
  readonly directory = mkdtempSync('/dev/shm/luo-adoptions-');
  readonly double = new LiveUpdateDouble({ path: '/dev/made-up' });
  readonly native: Native;
  readonly journal: Journal;
  readonly sessions: SessionStore;
  readonly adoptions: Adoptions;
  /** Machines and their files, as looking at them gives. */
  readonly machines = new Map<number, { machine: Machine; files: Map<number, Descriptor> }>();
  /** Which VMM listens at a path. */
  readonly peers = new Map<string, number>();
  /** Definitions there are, with the processes of those that run. */
  readonly definitions = new Map<string, number | null>();
  mayLetRunOn = true;
  /** Which VMMs are started, and what has become of them. */
  renewals: RenewalsLeft = { starter: noStarter, isUnder: () => false, mayHaveRun: () => false };
  /** What was logged. */
  readonly logged: string[] = [];
  availableMemory: number | null = null;

  constructor() {
    const scene = this;
    const { double } = this;
    const native: Native = {
      ...realNative,
      // A copy, in which a test can replace single calls.
      memory: { ...realNative.memory },
      liveUpdate: double,
      sockets: standIns(this.peers),
      serviceManager: { notify: () => false, takeListenFds: () => [] },
    };
    const paths: HostPaths = { ...realHostPaths, device: '/dev/made-up' };
    const journal = new Journal(join(this.directory, 'journal.db'), {
      ...{ bootId: 'this', phase: () => 'normal', update: () => null },
      ...{ nowUs: () => 1, steadyUs: () => 1, notWritten: () => {} },
    }).open();
    const explain = async () => ({ availability: 'available' as const, explanation: '' });
    const unended = new Unended(() => {});
    const sessions = new SessionStore({
      ...{ native, paths, journal, patience, nowUs: () => 1 },
      device: new Device(double, paths, explain, patience),
      store: new DescriptorStore(native, null),
      kernelLog: { mark: () => 0, since: () => [] },
      unended,
    });
    const known = (pid: number) => {
      const found = this.machines.get(pid);
      if (!found) throw new Refusal('NoSuchProcess', { pid });
      return found;
    };
    this.native = native;
    this.journal = journal;
    this.sessions = sessions;
    this.adoptions = new Adoptions({
      ...{ native, paths, sessions, journal, unended, bootId: 'this' },
      ownUid: process.getuid?.() ?? 0,
      defined: {
        has: async (name) => this.definitions.has(name),
        isOne: async ({ name, pid }) => this.definitions.get(name) === pid,
        priorityOf: async () => 7,
      },
      look: async (pid) => known(pid).machine,
      take: (pid, fd) => {
        const file = known(pid).files.get(fd);
        if (!file) throw new Refusal('NoSuchDescriptor', { pid, fd });
        return native.descriptors.duplicate(file);
      },
      availableMemory: async () => this.availableMemory,
      renewals: {
        get starter() {
          return scene.renewals.starter;
        },
        isUnder: (session) => scene.renewals.isUnder(session),
        mayHaveRun: (directory) => scene.renewals.mayHaveRun(directory),
      },
      mayLetRunOn: () => this.mayLetRunOn,
      log: (_level, message) => void this.logged.push(message),
    });
  }

  [Symbol.dispose](): void {
    for (const { name } of this.sessions.list()) this.sessions.get(name).release();
    for (const { files } of this.machines.values()) for (const file of files.values()) file.close();
    this.double[Symbol.dispose]();
    this.journal.close();
    rmSync(this.directory, { recursive: true });
  }

  /** A memory file of a machine, as looking at it gives. */
  #descriptor(fd: number, name: string, file: Descriptor): MachineDescriptor {
    const size = Number(this.native.memory.fileFacts(file).size);
    return {
      ...{ fd, duplicates: [], kind: 'memfd', name, size, inode: fd, guestMemory: true, pciAddress: null },
      ...{ dependsOn: [], sharedWith: [], fate: 'preservable', reason: '', source: 'rule', errno: null },
      ...{ session: null, token: null },
    };
  }

  /** A process that stands for the VMM of a machine with these memory files. */
  async startVmm(
    name: string,
    files: readonly Descriptor[],
    monitor = '/nowhere',
    third: number | 'ignore' = 'ignore',
    uid = process.getuid?.() ?? 0,
  ): Promise<ChildProcess> {
    const child = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', third], uid });
    await once(child, 'spawn');
    onTestFinished(() => void child.kill('SIGKILL'));
    const pid = child.pid ?? 0;
    this.peers.set(monitor, pid);
    const machine: Machine = {
      ...{ name, pid, user: 'root', command: 'sleep', vmm: 'QEMU', version: null, vcpus: 1, memory: 4 },
      ...{
        memoryInFiles: 4,
        state: 'running',
        accelerator: 'tcg',
        monitor: 'answered',
        monitorPath: monitor,
      },
      ...{ monitorDetail: '', sharesMemoryWith: [], otherDescriptors: 0, way: 'cpr', wayReason: '' },
      ...{
        expectedBlackoutUs: null,
        unlinks: [],
        session: null,
        definition: null,
        priority: null,
        consolePath: null,
      },
      ...{ needs: null, obstacle: null, rehearsal: null },
      descriptors: [],
    };
    this.machines.set(pid, { machine, files: new Map() });
    for (const [index, file] of files.entries()) this.plug(pid, 3 + index, `${name}${index}`, file);
    return child;
  }

  /** Gives a machine one more memory file. */
  plug(pid: number, fd: number, name: string, file: Descriptor): void {
    const found = this.machines.get(pid);
    found?.files.set(fd, file);
    found?.machine.descriptors.push(this.#descriptor(fd, `/memfd:${name} (deleted)`, file));
  }

  memfd(text: string): Descriptor {
    const file = this.native.memory.memfdCreate(text);
    this.native.memory.write(file, 0n, Buffer.from(text));
    return file;
  }

  /** Adopts a machine. @returns its session */
  async adopt(child: ChildProcess): Promise<string> {
    const pid = child.pid ?? 0;
    await this.adoptions.adopt(pid, plain, agentItself);
    return this.adoptions.list().find(({ machine }) => machine.pid === pid)?.session ?? '';
  }

  /** How many files a session has; -1 if there is no such session. */
  placesIn(session: string): number {
    return this.sessions.has(session) ? this.sessions.get(session).toSession().descriptors.length : -1;
  }
}

/** A memfd like those made under `vm.memfd_noexec=1`: it is written to, and comes back sealed against that. */
export function sealedMemfd({ native }: Pick<AdoptionScene, 'native'>, text: string): Descriptor {
  const file = native.memory.memfdCreate(text, { allowSealing: true });
  native.memory.write(file, 0n, Buffer.from(text));
  // Of a file that may be executed the seal means more.
  fchmodSync(file.fd, 0o666);
  native.memory.addSeals(file, 0x20);
  return file;
}
