// SPDX-License-Identifier: Apache-2.0
/**
 * What a carrier leaves behind, with real processes in place of its keeper, its holder and its VMMs. They hold real
 * descriptors of sessions, which are the double's. Only what procfs says of them is made up.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Descriptor } from '@luo-console/native';
import type { HostPaths } from '../../../host/paths.ts';

/** A process that waits until it is killed. */
export interface Waiting {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Resolves with the signal that ended it. */
  readonly ended: Promise<string | null>;
}

/** Whether a process has not ended, as the kernel says. */
export function lives({ pid }: Pick<Waiting, 'pid'>): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

interface ProcessFacts {
  readonly program?: string;
  readonly group?: string;
}

export class MadeUpCarrier {
  /** A made-up procfs. */
  readonly proc: string;
  /** The carrier's directory; made by the first status. */
  readonly directory: string;
  readonly #processes: Waiting[] = [];

  /** Its program. */
  readonly #program: string;

  constructor({ proc, carrier, carrierDirectory }: Pick<HostPaths, 'proc' | 'carrier' | 'carrierDirectory'>) {
    this.proc = proc;
    this.#program = carrier;
    this.directory = carrierDirectory;
    mkdirSync(proc, { recursive: true });
  }

  /**
   * Starts a process that has these sessions, and closes the descriptors given.
   *
   * @param sessions by the name that procfs shows
   */
  async process(
    sessions: ReadonlyMap<string, Descriptor> = new Map(),
    { program = this.#program, group = '/init.scope' }: ProcessFacts = {},
  ): Promise<Waiting> {
    const files = [...sessions.values()];
    const child = spawn('sh', ['-c', 'read line'], {
      stdio: ['pipe', 'ignore', 'ignore', ...files.map(({ fd }) => fd)],
    });
    await once(child, 'spawn');
    const { pid } = child;
    if (pid === undefined) throw new Error('the process did not start');
    for (const file of files) file.close();
    const ended = once(child, 'exit').then(([, signal]) => signal as string | null);
    const own = join(this.proc, String(pid));
    mkdirSync(join(own, 'fd'), { recursive: true });
    symlinkSync(program, join(own, 'exe'));
    writeFileSync(join(own, 'cgroup'), `0::${group}\n`);
    symlinkSync('/dev/null', join(own, 'fd/0'));
    for (const [index, name] of [...sessions.keys()].entries())
      symlinkSync(`anon_inode:[luo_session] ${name}`, join(own, `fd/${index + 3}`));
    const process = { pid, child, ended };
    this.#processes.push(process);
    return process;
  }

  /** Replaces the status as a whole. @param lines after the first */
  status(lines: readonly string[], format = 1): void {
    mkdirSync(this.directory, { recursive: true });
    const path = join(this.directory, 'status');
    writeFileSync(`${path}.new`, [`luo-carrier ${format}`, ...lines, ''].join('\n'));
    renameSync(`${path}.new`, path);
  }

  /** Adds lines to the log. */
  log(lines: readonly object[]): void {
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    writeFileSync(join(this.directory, 'log'), text, { flag: 'a' });
  }

  /** Ends what the agent under test has left. */
  async dispose(): Promise<void> {
    for (const { child, ended } of this.#processes) {
      child.kill('SIGKILL');
      await ended;
    }
  }
}
