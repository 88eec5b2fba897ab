// SPDX-License-Identifier: Apache-2.0
/**
 * A machine whose VMM is replaced: the compiled carrier starts a made-up QEMU (`fake-qemu.ts`) beside the old one. That is
 * a process with a file of memory, whose monitor this process serves. What the manifest says of it is kept here.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Descriptor, native } from '@luo-console/native';
import type { FakeVmm } from '../../src/adoption/fake-vmm.fixture.ts';
import { type LeftContext, settleRenewal } from '../../src/adoption/replaced-vmm.ts';
import type { RestoreMachine, VmmStarter } from '../../src/adoption/restore.ts';
import { identify } from '../../src/host/process-files.ts';
import { standIns } from '../../src/host/stand-ins.fixture.ts';
import { Unended } from '../../src/host/unended.ts';
import type { RenewalStage } from '../../src/interface/agent.generated.ts';
import type { HeldSession } from '../../src/liveupdate/held-session.ts';
import type { MachineHead, StoppedMark } from '../../src/liveupdate/machine-head.ts';
import type { Answer } from '../../src/qemu/fake-qmp.fixture.ts';
import type { RenewalContext } from '../../src/renewal/make-ready.ts';
import { renewMachine } from '../../src/renewal/renew-machine.ts';
import { mayHaveRun } from '../../src/update/program/renewal-directory.ts';
import { restoreMachine } from '../../src/update/program/restore-machine.ts';
import type { Report } from './fake-qemu.ts';
import {
  foundMachine,
  headOf,
  makeProc,
  namedMemory,
  type RunningVmm,
  session,
  startRunningVmm,
} from './running-vmm.fixture.ts';

const isAlive = (pid: number | null): boolean => {
  try {
    return pid !== null && !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

export interface RenewalOptions {
  readonly running?: boolean;
  /** What the new VMM does otherwise. */
  readonly whim?: string;
  readonly way?: MachineHead['way'];
  readonly answers?: Record<string, Answer>;
  readonly words?: readonly string[];
  readonly limitMs?: number;
}

export class RenewalScene {
  readonly directory = mkdtempSync(join(tmpdir(), 'luo-renewal-'));
  readonly stages: RenewalStage[] = [];
  readonly logged: string[] = [];
  /** What the service manager was asked. */
  readonly asked: string[] = [];
  head: MachineHead;
  /** Has a saved machine run; another one where the agent dies meanwhile. */
  restore: RestoreMachine = restoreMachine;
  /** What the service manager refuses to do, once. */
  stopRefused = 0;
  /** How often it refuses to say whether anything is being started. */
  settleRefused = 0;
  /** Whether its connection ends once the unit is being started, which goes on. */
  startUnheard = false;
  /** Told once the new VMM's unit is stopped. */
  onStop = (): void => {};
  /** Told once the new VMM's unit is being started. */
  onStart = (): void => {};
  readonly ending = new AbortController();
  readonly #carrier: string;
  readonly #vmm: RunningVmm;
  readonly #options: RenewalOptions;
  #unit: ChildProcess | null = null;
  #unitVmm: number | null = null;
  #started: Promise<void> = Promise.resolve();

  private constructor(carrier: string, vmm: RunningVmm, options: RenewalOptions) {
    this.#carrier = carrier;
    this.#vmm = vmm;
    this.#options = options;
    const { way = 'named_memory', whim = '', words = [] } = options;
    this.head = headOf(vmm, way, {
      ...{ report: join(this.directory, 'report'), whim, directory: this.directory },
      words: [...(way === 'named_memory' ? namedMemory : []), ...words],
    });
  }

  static async make(carrier: string, options: RenewalOptions = {}): Promise<RenewalScene> {
    const { running = true, answers = {} } = options;
    return new RenewalScene(carrier, await startRunningVmm({ running, answers }), options);
  }

  get guest(): FakeVmm {
    return this.#vmm.guest;
  }

  get old(): ChildProcess {
    return this.#vmm.process;
  }

  get memory(): Descriptor {
    return this.#vmm.memory;
  }

  get #starter(): VmmStarter {
    return {
      resume: async (machine, { files, directory }) => {
        this.asked.push(`resume in the ${machine.beside?.second ? 'second' : 'first'} unit`);
        // Whoever asks there from now on meets the new VMM.
        this.#vmm.peers.delete(this.guest.path);
        const given = files.map(({ path }) => openSync(path, 'r+'));
        const carrier = spawn(this.#carrier, ['resume', directory], {
          stdio: ['ignore', 'inherit', 'inherit', ...given],
        });
        for (const each of given) closeSync(each);
        this.#unit = carrier;
        this.onStart();
        const ended = this.#ended(carrier, join(directory, '0.pid'));
        this.#started = ended.catch(() => {});
        if (this.startUnheard) throw new Error('the service manager ended the connection');
        await ended;
      },
      settle: async () => {
        this.asked.push('settle');
        if (this.settleRefused > 0) {
          this.settleRefused -= 1;
          throw new Error('connect ECONNREFUSED');
        }
        await this.#started;
        // The promise of the one that has started it comes first.
        await new Promise((resolve) => setImmediate(resolve));
      },
      pid: async () => {
        if (!isAlive(this.#unitVmm) || this.#unitVmm === null) throw new Error('it has no process');
        return this.#unitVmm;
      },
      stop: async () => {
        this.asked.push('stop');
        if (this.stopRefused > 0) {
          this.stopRefused -= 1;
          throw new Error('the service manager did not answer');
        }
        await this.#endVmm();
        this.onStop();
      },
      adopt: async () => {},
    };
  }

  async #ended(carrier: ChildProcess, pidFile: string): Promise<void> {
    const [status] = await once(carrier, 'exit');
    this.#unitVmm = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : null;
    if (status === 0) return;
    // The service manager ends what is left in a unit that did not start.
    await this.#endVmm();
    throw new Error(`the unit did not start (${status})`);
  }

  async #endVmm(): Promise<void> {
    if (!isAlive(this.#unitVmm) || this.#unitVmm === null) return;
    process.kill(this.#unitVmm, 'SIGKILL');
    while (isAlive(this.#unitVmm)) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Ends the new VMM, as if it had crashed. */
  readonly crash = (): Promise<void> => this.#endVmm();

  #mark(change: StoppedMark): void {
    this.head = { ...this.head, ...change };
  }

  async #moved(pid: number): Promise<void> {
    const { startTime = 'ended' } = (await identify('/proc', pid)) ?? {};
    this.head = { ...this.head, pid, startTime, suspended: false };
  }

  async renew() {
    const machine = foundMachine(this.#vmm, '11.1.2');
    const held = { files: new Map([[1n, this.memory]]) } as unknown as HeldSession;
    const context: RenewalContext = {
      native: { ...native, sockets: standIns(this.#vmm.peers) },
      paths: { proc: makeProc(this.directory, this.#vmm), sys: '/sys' },
      sessions: { get: () => held, whereIs: () => ({ session, token: '0x1' }), touched: () => {} },
      adoptions: {
        stopped: {
          mark: (_session, change) => this.#mark(change),
          letRunOn: async () => [],
        },
        moved: (_session, next) => this.#moved(next),
      },
      blockFiles: { of: () => [] },
      unended: new Unended(() => {}),
      starter: this.#starter,
      units: {
        places: async () => ({ second: false, ownUnit: false }),
        interrupt: async () => {
          const carrier = this.#unit?.pid;
          const list = `/proc/${carrier}/task/${carrier}/children`;
          const workers = existsSync(list) ? readFileSync(list, 'utf8').split(' ').filter(Boolean) : [];
          for (const worker of workers) process.kill(Number(worker), 'SIGKILL');
        },
      },
      restore: (options) => this.restore(options),
      socketDirectory: join(this.directory, 'sockets'),
      look: async () => ({ ...machine, version: '11.1.3' }),
      take: () => native.descriptors.duplicate(this.memory),
      nowUs: () => Number(native.kernel.clock('realtime') / 1000n),
      log: (_level, message) => void this.logged.push(message),
    };
    return await renewMachine(context, {
      adopted: { session, machine: this.head },
      machine,
      limitUs: (this.#options.limitMs ?? 30_000) * 1000,
      signal: this.ending.signal,
      told: (stage) => void this.stages.push(stage),
    });
  }

  /** What the agent does that finds what another one has begun. */
  async settle(): Promise<void> {
    const left: LeftContext = {
      native: { ...native, sockets: standIns(this.#vmm.peers) },
      paths: { proc: join(this.directory, 'proc') },
      starter: this.#starter,
      mark: (_session, change) => this.#mark(change),
      mayHaveRun: mayHaveRun(native),
      moved: (_session, pid) => this.#moved(pid),
      log: (_level, message) => void this.logged.push(message),
    };
    await settleRenewal(left, { session, machine: this.head });
  }

  get report(): Report | null {
    const path = join(this.directory, 'report');
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : null;
  }

  get newRuns(): boolean {
    return isAlive(this.#unitVmm);
  }

  get newVmm(): number | null {
    return this.#unitVmm;
  }

  get oldLives(): boolean {
    return isAlive(this.old.pid ?? null);
  }

  /** What is left where sockets are made, and of names that were put aside. */
  get left(): string[] {
    const beside = readdirSync(join(this.guest.path, '..')).filter((name) => name.includes('.before-'));
    const sockets = join(this.directory, 'sockets');
    return [...(existsSync(sockets) ? readdirSync(sockets) : []), ...beside];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#endVmm();
    this.#unit?.kill('SIGKILL');
    this.old.kill('SIGKILL');
    this.memory.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
