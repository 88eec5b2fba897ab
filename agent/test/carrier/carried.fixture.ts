// SPDX-License-Identifier: Apache-2.0
/**
 * The carrier as an ordinary program, with a program compiled by the agent and a made-up QEMU (`fake-qemu.ts`) to start. A
 * machine has a state and memory in memfds, as if a kernel had handed them over.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Descriptor, native } from '@luo-console/native';
import * as v from 'valibot';
import { type RestoreOptions, unitNameOf, type VmmStarter } from '../../src/adoption/restore.ts';
import type { SavedMachine } from '../../src/adoption/saved-machine.ts';
import type { Need, Rights, VmmFacts } from '../../src/adoption/vmm-facts.ts';
import { errnoOf } from '../../src/host/refusal.ts';
import { whenReady } from '../../src/host/waiting.ts';
import { compileProgram } from '../../src/update/program/compile.ts';
import { encodeProgram } from '../../src/update/program/encode.ts';
import type { Instruction } from '../../src/update/program/instructions.ts';
import { memfdWith } from '../scenario.ts';
import type { Report } from './fake-qemu.ts';

const sources = join(import.meta.dirname, '../../../native-bindings/carrier');

/** The file that a compiled carrier takes for the kernel's log. It is written from its start on. */
export const kernelLogOf = (directory: string): string => join(directory, 'kernel-log');

/** Compiles the carrier with its points of failure. @returns the program's path, in a new directory */
export function compileCarrier(): string {
  const directory = mkdtempSync(join(tmpdir(), 'luo-carrier-'));
  const files = readdirSync(sources).filter((name) => name.endsWith('.c'));
  const log = kernelLogOf(directory);
  writeFileSync(log, '');
  const flags = [
    // For what runs in the namespaces of this process.
    `-DFIRST_PROCESS=${process.pid}`,
    `-DKERNEL_LOG="${log}"`,
    '-static',
    '-O2',
    '-std=gnu17',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-D_GNU_SOURCE',
    '-DFAULTS',
  ];
  execFileSync('gcc', [...flags, ...files, '-o', join(directory, 'carrier')], { cwd: sources });
  return join(directory, 'carrier');
}

const Event = v.object({
  ns: v.number(),
  machine: v.nullable(v.number()),
  event: v.string(),
  text: v.string(),
});
export type Event = v.InferOutput<typeof Event>;

/** Resolves once a process has ended. */
async function ended(pid: number): Promise<void> {
  try {
    using gone = native.descriptors.pidfdOpen(pid);
    await whenReady(native.sockets, gone, native.sockets.POLL_READABLE, AbortSignal.timeout(10_000));
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}

/** @param files paths of the program and its files */
function startCarrier(
  carrier: string,
  directory: string,
  files: readonly string[],
  fault: string,
  output: 'inherit' | 'pipe' = 'inherit',
): ChildProcess {
  const handed = files.map((path) => openSync(path, 'r+'));
  const env = fault === '' ? {} : { luo_fault: fault };
  const child = spawn(carrier, ['resume', directory], { env, stdio: ['ignore', output, output, ...handed] });
  for (const each of handed) closeSync(each);
  return child;
}

/** How far a machine is, by its mark. */
export const marks = { untouched: 0, starting: 1, running: 2 };

export interface CarriedOptions {
  /** The nice value that its VMM had. */
  readonly nice?: number;
  readonly way?: SavedMachine['way'];
  readonly ran?: boolean;
  /** What its QEMU does otherwise (`fake-qemu.ts`). */
  readonly whim?: string;
  /** Directories that it needs, by their names in that of the carrier. */
  readonly directories?: readonly { readonly name: string; readonly mode: number }[];
  /** How many bytes of its state there are; all if it is not given. */
  readonly keptBytes?: number;
  readonly needs?: readonly Need[];
  readonly nodes?: VmmFacts['nodes'];
  /** How long it waits for its needs. */
  readonly limitS?: number;
  /** How long its QEMU may do nothing. */
  readonly quietS?: number;
  readonly filledBytes?: number;
  /** How much of its state it has to take in that time; as compiled if it is not given. */
  readonly leastBytes?: number;
  /** As whom its QEMU runs. */
  readonly uid?: number;
  readonly rights?: Rights | null;
  /** The profile of AppArmor that confines its QEMU. */
  readonly profile?: VmmFacts['profile'];
  readonly groups?: readonly number[];
  /** What makes devices that it needs, by the kernel's names. */
  readonly makers?: readonly string[];
  /** What loads modules for it. */
  readonly modules?: readonly Instruction[];
}

const memoryOf = (way: SavedMachine['way']): string[] => {
  if (way === 'whole_state') return [];
  return [way === 'cpr' ? 'the memory' : 'named memory'];
};

/** A machine whose state is in memfds here, and the directory in which the carrier works. */
export class CarriedMachine {
  readonly directory = mkdtempSync(join(tmpdir(), 'luo-carried-'));
  readonly saved: SavedMachine;
  readonly program: Buffer;
  readonly instructions: readonly string[];
  readonly #carrier: string;
  readonly #files: Descriptor[];
  readonly #state: Descriptor;

  /** @param carrier the program that brings it back */
  constructor(carrier: string, options: CarriedOptions = {}) {
    this.#carrier = carrier;
    const { way = 'cpr', ran = true, whim = '', directories = [], keptBytes } = options;
    const { needs = [], nodes = [], limitS, quietS, filledBytes = 0 } = options;
    const { modules = [], profile = null, groups = [] } = options;
    const { uid = process.getuid?.() ?? 0, rights = null, nice = 0 } = options;
    if (uid !== process.getuid?.()) chownSync(this.directory, uid, -1);
    const cpr = 'QCPR first pieceand the second';
    const main = `device state ${'x'.repeat(600_000)}`;
    const viaCpr = way === 'cpr';
    this.#state = memfdWith(`${viaCpr ? cpr : ''}${main}`.slice(0, keptBytes));
    // For its mark.
    if (keptBytes === undefined)
      native.memory.truncate(this.#state, native.memory.fileFacts(this.#state).size + 1n);
    const facts: VmmFacts = {
      groups: [...groups],
      umask: 0o27,
      nice,
      limits: [
        { number: 6, soft: '800', hard: '900' },
        { number: 7, soft: '999', hard: '1999' },
      ],
      variables: [`REPORT=${this.directory}/report`, `WHIM=${whim}`, 'PATH=/usr/bin:/bin'],
      nodes: [...nodes],
      directories: directories.map(({ name, mode }) => ({
        ...{ path: join(this.directory, name), mode },
        ...{ uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
      })),
      writesRoot: false,
      needs: [...needs],
      filledBytes,
      ...{ rights, profile, resources: null },
      unkept: null,
      modules: [...(options.makers ?? [])],
      obstacle: null,
    };
    this.saved = {
      name: 'vm',
      session: 'machine:vm',
      definition: null,
      way,
      priority: 0,
      pid: 4711,
      command: {
        program: process.execPath,
        words: [
          join(import.meta.dirname, 'fake-qemu.ts'),
          ...['-qmp', `unix:${this.directory}/qmp,server=on,wait=off`],
          ...(way === 'named_memory'
            ? ['-object', 'memory-backend-file,id=ram,size=12,mem-path=/dev/shm/x']
            : []),
        ],
        directory: this.directory,
        uid,
        gid: process.getgid?.() ?? 0,
      },
      monitor: join(this.directory, 'qmp'),
      ran,
      capabilities: {},
      state: { token: '0xa', cprBytes: viaCpr ? cpr.length : 0, mainBytes: main.length },
      pieces: viaCpr
        ? [
            { bytes: 'QCPR first piece'.length, files: [{ session: 'machine:vm', token: '0x1' }] },
            { bytes: 'and the second'.length, files: [] },
          ]
        : [],
      memory: way === 'named_memory' ? [{ backend: 'ram', session: 'machine:vm', token: '0x2' }] : [],
      facts,
      brownoutUs: 1,
      suspendedAtUs: 2,
      savedAtUs: 3,
    };
    const machines = [{ saved: this.saved, facts }];
    const { leastBytes } = options;
    const compiled = compileProgram({
      ...{ index: 'luo-console', machines, directory: this.directory },
      ...(limitS === undefined ? {} : { limitS }),
      ...(quietS === undefined ? {} : { quietS }),
      modules: { instructions: () => [...modules] },
    });
    for (const [at, each] of compiled.entries()) {
      if (each.does === 'patience' && leastBytes !== undefined) compiled[at] = { ...each, leastBytes };
    }
    this.program = encodeProgram(compiled);
    // The machine's part, as the points of failure count it.
    this.instructions = compiled
      .slice(compiled.findIndex(({ does }) => does === 'machine') + 1)
      .map(({ does }) => does);
    this.#files = [this.#state, ...memoryOf(way).map(memfdWith)];
  }

  /** Has the carrier resume it. @returns its exit status, null if a signal ended it */
  async resume(fault = ''): Promise<number | null> {
    const child = this.start(fault);
    const [status] = await once(child, 'exit');
    return status;
  }

  /** Starts the carrier, which goes on. @param output where its VMM's goes */
  start(fault = '', output: 'inherit' | 'pipe' = 'inherit'): ChildProcess {
    const program = native.memory.memfdCreate('program');
    native.memory.truncate(program, BigInt(this.program.length));
    native.memory.write(program, 0n, this.program);
    const paths = [program, ...this.#files].map(({ fd }) => `/proc/self/fd/${fd}`);
    const child = startCarrier(this.#carrier, this.directory, paths, fault, output);
    program.close();
    return child;
  }

  /**
   * What the agent needs to have it run again. The service manager starts the carrier as a child of this process, and
   * notes what it was asked.
   */
  restoring(
    fault = '',
    paths: RestoreOptions['paths'] = { proc: '/proc' },
  ): RestoreOptions & {
    readonly asked: string[];
    readonly points: Map<string, number>;
    readonly warnings: string[];
  } {
    const warnings: string[] = [];
    const [asked, points]: [string[], Map<string, number>] = [[], new Map()];
    const starter: VmmStarter = {
      resume: async (machine, { files, directory }) => {
        asked.push(`resume ${unitNameOf(machine)}`);
        if (machine.command !== this.saved.command) throw new Error('the unit is of another command');
        const child = startCarrier(
          this.#carrier,
          directory,
          files.map(({ path }) => path),
          fault,
        );
        const [status] = await once(child, 'exit');
        copyFileSync(join(directory, '0.pid'), join(this.directory, '0.pid'));
        if (status !== 0) throw new Error('the unit did not start (failed)');
      },
      settle: async (machine) => void asked.push(`settle ${unitNameOf(machine)}`),
      pid: async () => this.vmm ?? 0,
      stop: async (machine) => void asked.push(`stop ${unitNameOf(machine)}`),
      adopt: async (machine) => void asked.push(`adopt ${unitNameOf(machine)}`),
    };
    const [, ...others] = this.#files;
    return {
      ...{ native, paths, machine: this.saved, state: this.#state, starter, asked, points, warnings },
      log: (_level, message) => void warnings.push(message),
      socketDirectory: join(this.directory, 'sockets'),
      file: () => {
        const [other] = others;
        if (other) return other;
        throw new Error('it has no other file');
      },
      reached: (point, atNs) => void points.set(point, atNs),
    };
  }

  /** Writes the mark behind its state. */
  set mark(mark: number) {
    const { cprBytes = 0, mainBytes = 0 } = this.saved.state ?? {};
    native.memory.write(this.#state, BigInt(cprBytes + mainBytes), Uint8Array.of(mark));
  }

  /** The mark behind its state. */
  get mark(): number {
    const { cprBytes = 0, mainBytes = 0 } = this.saved.state ?? {};
    return native.memory.read(this.#state, BigInt(cprBytes + mainBytes), 1)[0] ?? -1;
  }

  /** What its QEMU saw; null if none came so far. */
  get report(): Report | null {
    return this.#readJson('report');
  }

  get log(): Event[] {
    const lines = readFileSync(join(this.directory, 'log'), 'utf8').trim().split('\n');
    return lines.map((line) => v.parse(Event, JSON.parse(line)));
  }

  /** Texts of the events of a name. */
  said(event: string): string[] {
    return this.log.flatMap((each) => (each.event === event ? [each.text] : []));
  }

  /** Resolves once the log has an event of this name. */
  async saidSo(event: string): Promise<void> {
    const changes = watch(this.directory);
    try {
      const changed = (): Promise<unknown> => once(changes, 'change');
      for (let next = changed(); !this.#hasSaid(event); next = changed()) await next;
    } finally {
      changes.close();
    }
  }

  #hasSaid(event: string): boolean {
    const path = join(this.directory, 'log');
    // A line may be on its way.
    return existsSync(path) && readFileSync(path, 'utf8').includes(`"event":"${event}"`);
  }

  /** Resolves once the process has ended that was made to fail. */
  async failedEnds(): Promise<void> {
    for (const text of this.said('fault')) await ended(Number(/^process (\d+)$/.exec(text)?.[1]));
  }

  get status(): string {
    return readFileSync(join(this.directory, 'status'), 'utf8');
  }

  /** The number of the QEMU that was started last, as its PID file has it; null if there is none. */
  get vmm(): number | null {
    try {
      return Number(readFileSync(join(this.directory, '0.pid'), 'utf8'));
    } catch {
      return null;
    }
  }

  /** Whether its QEMU runs. */
  get vmmRuns(): boolean {
    try {
      return this.vmm !== null && !/^State:\tZ/m.test(readFileSync(`/proc/${this.vmm}/status`, 'utf8'));
    } catch {
      return false;
    }
  }

  /** Ends its QEMU, as the agent does before it tries again. */
  async endVmm(): Promise<void> {
    if (!this.vmmRuns || this.vmm === null) return;
    process.kill(this.vmm, 'SIGKILL');
    await ended(this.vmm);
  }

  async dispose(): Promise<void> {
    await this.endVmm();
    for (const each of this.#files) each.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #readJson(name: string): Report | null {
    try {
      return JSON.parse(readFileSync(join(this.directory, name), 'utf8'));
    } catch {
      return null;
    }
  }
}
