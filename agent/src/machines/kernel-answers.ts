// SPDX-License-Identifier: Apache-2.0
/**
 * Whether the running kernel has a handler for a kind of file. To ask the kernel, the agent preserves a file of that
 * kind in a session that it closes right afterwards. A kernel without a handler refuses at once with ENOENT
 * (`kernel/liveupdate/luo_file.c`). The agent asks only about kinds that cost nothing to preserve even with a handler.
 * For memory it asks with a small file it made itself. An answer holds for the whole boot, which the agent's process
 * does not outlive.
 */
import type { Descriptor, Native } from '@luo-console/native';
import { Serial } from '../host/serial.ts';
import { NotEnded, type Unended } from '../host/unended.ts';
import type { MachineFile } from '../interface/agent.generated.ts';

export interface KernelAnswer {
  readonly accepts: boolean;
  /** What the kernel refused with; null if it accepts. */
  readonly errno: string | null;
}

export interface AskingSources {
  readonly native: Native;
  readonly unended: Unended;
  /** A session to ask in, made for one question. */
  openSession(): Promise<Descriptor>;
  /** Whether it is a time to ask; during a live update it is not. */
  mayAsk(): boolean;
  /** A copy of a process's descriptor. */
  take(pid: number, fd: number): Descriptor;
}

const probeBytes = 4096n;

/**
 * How long nothing is asked after a session could not be had: each try may wait for the process that has the device.
 */
const pauseMs = 10_000;

/** How long the kernel may take, in ms: each file costs nothing to preserve. */
const answerMs = 5000;

/** Kinds of which the agent makes a file itself. */
const ownFiles: Partial<Record<MachineFile, (native: Native) => Descriptor>> = {
  memfd: ({ memory }) => {
    const file = memory.memfdCreate('luo-question');
    memory.truncate(file, probeBytes);
    return file;
  },
  // Empty, so that no huge page is needed.
  hugetlb: ({ memory }) => memory.memfdCreate('luo-question', { hugetlb: true }),
  // Taking somebody's socket would make it the agent's in the eyes of the network's accounting.
  socket: ({ sockets }) => {
    const [one, other] = sockets.socketPair();
    other.close();
    return one;
  },
};

/** Kinds of which a copy of the machine's descriptor is cheap to ask about and changes nothing. */
const askedByCopy: ReadonlySet<MachineFile> = new Set([
  'kvm',
  'kvm_vm',
  'kvm_vcpu',
  'kvm_stats',
  'kvm_device',
  'eventfd',
  'tap',
  'vhost',
]);

/** Where to find a file of the kind. */
export interface Example {
  readonly pid: number;
  readonly fd: number | null;
}

export class KernelAnswers {
  readonly #sources: AskingSources;
  readonly #known = new Map<MachineFile, Promise<KernelAnswer | null>>();
  readonly #serial = new Serial();
  #notBefore = 0;

  constructor(sources: AskingSources) {
    this.#sources = sources;
  }

  /** @returns null if the kernel was not asked: it would cost too much, or there is no live update here now */
  async about(kind: MachineFile, example: Example): Promise<KernelAnswer | null> {
    const make = this.#maker(kind, example);
    if (make === null) return null;
    const known = this.#known.get(kind);
    if (known) return await known;
    const asking = this.#serial.run(() => this.#ask(make));
    this.#known.set(kind, asking);
    const answer = await asking;
    // Not asked, so there is nothing to remember.
    if (answer === null) this.#known.delete(kind);
    return answer;
  }

  async #openSession(): Promise<Descriptor> {
    try {
      return await this.#sources.openSession();
    } catch (error) {
      this.#notBefore = performance.now() + pauseMs;
      throw error;
    }
  }

  #maker(kind: MachineFile, { pid, fd }: Example): (() => Descriptor) | null {
    const own = ownFiles[kind];
    if (own) return () => own(this.#sources.native);
    return fd !== null && askedByCopy.has(kind) ? () => this.#sources.take(pid, fd) : null;
  }

  async #ask(make: () => Descriptor): Promise<KernelAnswer | null> {
    const { native, unended, mayAsk } = this.#sources;
    if (!mayAsk() || performance.now() < this.#notBefore) return null;
    try {
      using file = make();
      // Closing it undoes the preserving.
      using session = await this.#openSession();
      const asking = native.liveUpdate.preserveFd(session, file, 1n).then(
        () => ({ accepts: true, errno: null }),
        (error: { code?: string }) => answerIn(error.code),
      );
      return await unended.waitFor('asking the kernel what it preserves', asking, { limitMs: answerMs });
    } catch (error) {
      // Whoever looks next is not to wait as long.
      if (error instanceof NotEnded) this.#notBefore = performance.now() + pauseMs;
      // No device, no such process any more, no huge pages: nothing was learnt.
      return null;
    }
  }
}

/** ENOENT is the one answer that speaks of the kind; EBUSY comes from a handler that has the file already. */
function answerIn(code: string | undefined): KernelAnswer | null {
  if (code === 'ENOENT') return { accepts: false, errno: code };
  return code === 'EBUSY' ? { accepts: true, errno: null } : null;
}
