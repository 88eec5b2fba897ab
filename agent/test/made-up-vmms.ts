// SPDX-License-Identifier: Apache-2.0
/**
 * VMMs on a made-up host. Each is a process with the command line of a QEMU, a memfd, and a monitor that this process
 * serves. The VMM has the monitor's listening socket too, because the agent asks nobody else. What meets the agent on
 * further sockets is this process, so the agent is told that it is the VMM.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Descriptor } from '@luo-console/native';
import { type FakeVmm, startFakeVmm } from '../src/adoption/fake-vmm.fixture.ts';
import { unitNameOf, type VmmStarter } from '../src/adoption/restore.ts';
import type { Way } from '../src/interface/agent.generated.ts';
import { type Answer, type Between, machineAnswers, value } from '../src/qemu/fake-qmp.fixture.ts';
import { namesIn } from '../src/qemu/named-in-words.ts';
import type { MadeUpHost } from './made-up-host.ts';
import { runProgram } from './run-program.ts';
import { memfdWith } from './scenario.ts';

export type CarriedWay = Exclude<Way, 'none'>;

/** A VMM. Its process is another one after it was started again. */
export interface MadeUpVmm {
  readonly name: string;
  readonly guest: FakeVmm;
  child: ChildProcess;
  pid: number;
}

const refused: Answer = (socket, id) =>
  void socket.write(
    `${JSON.stringify({ id, error: { class: 'GenericError', desc: 'no such property' } })}\n`,
  );

/** What decides the way: how QEMU has its memory. */
function memoryAnswers(way: CarriedWay): Record<string, Answer> {
  const named = way === 'named_memory';
  return {
    // Little, because all of it is saved on one of the ways.
    'query-memory-size-summary': value({ 'base-memory': 4096 }),
    'query-memdev': value(way === 'whole_state' ? [] : [{ id: 'ram', size: 4, share: true }]),
    'qom-get': (socket, id, given) => {
      const { property } = given as { property: string };
      if (property === 'aux-ram-share') value(way === 'cpr')(socket, id);
      else if (named) value('/proc/self/fd/3')(socket, id);
      else refused(socket, id);
    },
  };
}

export class MadeUpVmms {
  readonly #host: MadeUpHost;
  readonly #vmms = new Map<string, MadeUpVmm>();
  /** Programs that were begun, by the name of the unit. */
  readonly #resuming = new Map<string, Promise<void>>();
  /** Whether VMMs that are started have a file open for writing, on this machine's disk. */
  withDisk = false;
  /** With which words the shell that stands for a VMM waits. QEMU has no `-c`. */
  begin: readonly string[] = ['-c', 'read line'];
  /** Units whose VMM ends as soon as it is started. */
  readonly failing = new Set<string>();
  /** What is done before a unit's VMM is started, when that is written down already. */
  readonly beforeStart = new Map<string, () => Promise<void>>();
  /** Comes between what a VMM is told, or does by itself, and what it does then. */
  between: (name: string, ...given: Parameters<Between>) => void = (_name, _what, perform) => perform();
  /** The processes of VMMs beside which others were started, by the name of the unit. */
  readonly #olds = new Map<string, Pick<MadeUpVmm, 'child' | 'pid'>>();
  /** Units to which a VMM that ran already was attached, in order. */
  readonly attached: string[] = [];

  constructor(host: MadeUpHost) {
    this.#host = host;
    host.starter = this.#starter();
  }

  /**
   * Starts a VMM whose machine can be carried over this way.
   *
   * @param answers take precedence over what QEMU would say
   * @param more words of its command line
   * @param disk the number of a file that it has open; the caller keeps it
   */
  async start(
    name: string,
    way: CarriedWay,
    answers: Record<string, Answer> = {},
    more: readonly string[] = [],
    disk: number | 'ignore' = 'ignore',
  ): Promise<MadeUpVmm> {
    const { 'query-status': _, 'query-migrate': __, ...others } = machineAnswers;
    const all = { ...others, 'query-name': value({ name }), ...memoryAnswers(way), ...answers };
    const guest: FakeVmm = await startFakeVmm({
      ...{ running: true, answers: all },
      channel: (path) => void this.#host.peers.set(path, this.#vmms.get(name)?.pid ?? 0),
      between: (...given) => this.between(name, ...given),
    });
    const words = ['-name', name, '-qmp', `unix:${guest.path},server=on,wait=off`];
    if (way === 'named_memory')
      words.push('-object', 'memory-backend-file,id=ram,mem-path=/proc/self/fd/3,share=on,size=4');
    words.push(...more);
    using memory = memfdWith(`memory of ${name}`);
    const vmm = { name, guest, ...(await this.#spawn(words, memory.fd, guest, disk)) };
    this.#vmms.set(name, vmm);
    return vmm;
  }

  /**
   * Starts a VMM again as the carrier does: in no unit, but beside process 1.
   *
   * @param words as they were saved
   * @param memory its memory as this kernel has it
   * @param runs whether the guest was let run
   */
  async carry(name: string, words: readonly string[], memory: Descriptor, runs: boolean): Promise<MadeUpVmm> {
    const vmm = this.#unit(name);
    Object.assign(vmm, await this.#spawn(words.slice(this.begin.length), memory.fd, vmm.guest));
    const own = this.#copied(vmm);
    rmSync(join(own, 'cgroup'));
    writeFileSync(join(own, 'cgroup'), '0::/init.scope\n');
    vmm.guest.restart(words, runs);
    return vmm;
  }

  /** Has procfs say something else of a VMM. @param change makes its status of the real one */
  changeStatus(vmm: MadeUpVmm, change: (status: string) => string): void {
    const own = this.#copied(vmm);
    // The agent follows no link to these.
    for (const name of ['status', 'stat', 'limits', 'environ']) {
      const text = readFileSync(join(own, name), 'latin1');
      rmSync(join(own, name));
      writeFileSync(join(own, name), name === 'status' ? change(text) : text, 'latin1');
    }
  }

  /** Makes a VMM's directory in procfs one whose files can be exchanged. @returns its path */
  #copied({ pid }: MadeUpVmm): string {
    const [real, own] = [`/proc/${pid}`, join(this.#host.paths.proc, String(pid))];
    rmSync(own);
    mkdirSync(own);
    for (const name of readdirSync(real)) {
      const isLink = lstatSync(join(real, name)).isSymbolicLink();
      symlinkSync(isLink ? readlinkSync(join(real, name)) : join(real, name), join(own, name));
    }
    return own;
  }

  /** Ends one VMM. */
  async end({ child, guest, pid }: MadeUpVmm): Promise<void> {
    guest.hangUp();
    rmSync(join(this.#host.paths.proc, String(pid)), { force: true, recursive: true });
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'))
      await once(child, 'exit');
  }

  /** Ends every VMM, as a kexec does. */
  async endAll(): Promise<void> {
    await Promise.all([...this.#vmms.values()].map((vmm) => this.end(vmm)));
  }

  #unit(name: string): MadeUpVmm {
    const vmm = this.#vmms.get(name);
    if (!vmm) throw new Error(`there is no VMM for unit ${name}`);
    return vmm;
  }

  #starter(): VmmStarter {
    const unit = (name: string): MadeUpVmm => this.#unit(name);
    return {
      resume: async (machine, program) => {
        const name = unitNameOf(machine);
        const vmm = unit(name);
        if (machine.beside) this.#olds.set(name, { child: vmm.child, pid: vmm.pid });
        const resuming = runProgram(program, {
          start: async (words, [memory]) => {
            await this.beforeStart.get(name)?.();
            if (this.failing.has(name)) throw new Error('its VMM ended at once');
            const missing = namesIn(words, new Set()).find(
              ({ kind, name: disk }) => kind === 'disk' && !existsSync(disk),
            );
            if (missing) throw new Error(`its VMM ended at once: it could not open ${missing.name}`);
            // The shell's own words come first.
            Object.assign(
              vmm,
              await this.#spawn(words.slice(this.begin.length), memory ?? 'ignore', vmm.guest),
            );
            vmm.guest.restart(words);
          },
          kill: async () => {
            if (machine.beside) await this.#endBeside(name);
            else if (!this.failing.has(name)) await this.end(vmm);
          },
        });
        this.#resuming.set(name, resuming);
        await resuming;
      },
      settle: async (machine) => await this.#resuming.get(unitNameOf(machine))?.catch(() => {}),
      pid: async (machine) => {
        const name = unitNameOf(machine);
        const isOld = machine.beside && (this.#olds.get(name)?.pid ?? unit(name).pid) === unit(name).pid;
        if (this.failing.has(name) || isOld) throw new Error('its VMM ended at once');
        return unit(name).pid;
      },
      stop: async (machine) => {
        const name = unitNameOf(machine);
        if (machine.beside) await this.#endBeside(name);
        else if (!this.failing.has(name)) await this.end(unit(name));
      },
      adopt: async (machine, pid) => {
        const name = unitNameOf(machine);
        const vmm = unit(name);
        if (vmm.pid !== pid) throw new Error(`process ${pid} is not the VMM of unit ${name}`);
        this.attached.push(name);
      },
    };
  }

  /** Ends a VMM that was started beside another one, if it was. The guest is that one's again. */
  async #endBeside(name: string): Promise<void> {
    const vmm = this.#unit(name);
    const old = this.#olds.get(name);
    if (old === undefined || old.pid === vmm.pid) return;
    const { child, pid } = vmm;
    rmSync(join(this.#host.paths.proc, String(pid)), { force: true, recursive: true });
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'))
      await once(child, 'exit');
    Object.assign(vmm, old);
    this.#host.peers.set(vmm.guest.path, old.pid);
  }

  /** A process that stands for a VMM: it waits until it is killed. Its descriptors 3 and 4 are memory and monitor. */
  async #spawn(
    words: readonly string[],
    memory: number | 'ignore',
    monitor: FakeVmm,
    given: number | 'ignore' = 'ignore',
  ): Promise<{ child: ChildProcess; pid: number }> {
    const path = join(tmpdir(), `luo-console-test-${process.pid}-disk`);
    const own = given === 'ignore' && this.withDisk ? openSync(path, 'a') : null;
    const disk = own ?? given;
    rmSync(path, { force: true });
    const child = spawn('sh', [...this.begin, ...words], {
      argv0: 'qemu-system-x86_64',
      stdio: ['pipe', 'ignore', 'ignore', memory, monitor.fd, disk],
    });
    if (own !== null) closeSync(own);
    await once(child, 'spawn');
    const { pid } = child;
    if (pid === undefined) throw new Error('the process did not start');
    this.#host.peers.set(monitor.path, pid);
    symlinkSync(`/proc/${pid}`, join(this.#host.paths.proc, String(pid)));
    return { child, pid };
  }
}
