// SPDX-License-Identifier: Apache-2.0
/**
 * Loading the next kernel (`kexec_file_load`, the only call that works with the handover) and knowing which one is
 * loaded. The kernel says only *that* one is loaded. Which one is in the journal. A restarted agent reads it there,
 * provided the entry is of this boot.
 */
import type { FileHandle } from 'node:fs/promises';
import type { KernelControl } from '@luo-console/native';
import { isKernelFailure, kernelCallFailed, Refusal } from '../host/refusal.ts';
import { openRegularFile } from '../host/regular-file.ts';
import type { Unended } from '../host/unended.ts';
import type { KernelImage, LoadedKernel } from '../interface/agent.generated.ts';
import type { Journal, JournalReader, RecordedPeer } from '../journal/index.ts';
import { commandLineWords } from './facts.ts';
import { withoutInit } from './init-parameter.ts';

/** x86 takes at most this many bytes (`COMMAND_LINE_SIZE`), the terminator included. */
const commandLineBytes = 2048;

const rejections: Readonly<Record<string, string>> = {
  ENOEXEC: 'the kernel does not recognise it as a kernel image',
  EPERM: 'loading kernels is forbidden here: not root, kexec_load_disabled, or the kernel is locked down',
  EKEYREJECTED: 'its signature is missing or not trusted, and this kernel requires one',
  ENOKEY: 'the key of its signature is unknown, and this kernel requires a known one',
  EBADMSG: 'its signature is damaged',
  ENODATA: 'it is not signed, and this kernel requires a signature',
  EADDRNOTAVAIL: 'no suitable place in memory is free for it',
  ENOMEM: 'there is not enough memory for it',
  ENOTSUPP: 'the running kernel cannot load such an image',
  EINVAL: 'the running kernel refuses its image, initrd or command line',
};

export interface LoadRequest {
  readonly image: KernelImage;
  readonly commandLine: string;
  readonly peer: RecordedPeer | null;
  /** Ends the wait for the kernel. What it loads after that is dropped at once. */
  readonly signal?: AbortSignal;
}

export class KernelLoader {
  readonly #kernel: KernelControl;
  readonly #journal: Journal;
  readonly #nowUs: () => number;
  readonly #onChange: () => void;
  readonly #unended: Unended;
  #loaded: LoadedKernel | null = null;

  constructor(
    kernel: KernelControl,
    journal: Journal,
    unended: Unended,
    nowUs: () => number,
    onChange: () => void,
  ) {
    this.#kernel = kernel;
    this.#journal = journal;
    this.#unended = unended;
    this.#nowUs = nowUs;
    this.#onChange = onChange;
  }

  /** Finds out, after a restart, what this boot's agent has loaded. */
  recall(reader: JournalReader, bootId: string): void {
    if (!this.#isLoaded()) return;
    const entry = reader.newestReadable({ name: 'kernel.load' });
    const known = entry?.kind === 'result' && entry.ok && entry.bootId === bootId ? entry.parameters : {};
    const text = (key: string): string => (typeof known[key] === 'string' ? known[key] : 'unknown');
    this.#loaded = {
      path: text('path'),
      release: text('release'),
      initrd: typeof known['initrd'] === 'string' ? known['initrd'] : null,
      commandLine: text('commandLine'),
      loadedAtUs: entry?.atUs ?? 0,
    };
  }

  /** What is loaded, asking the kernel whether it still is. */
  get loaded(): LoadedKernel | null {
    if (!this.#isLoaded()) this.#loaded = null;
    return this.#loaded;
  }

  /**
   * Loads a kernel in place of any loaded before.
   *
   * @throws Refusal KernelRejected, FileUnusable, InvalidValue; the signal's reason
   */
  async load({ image, commandLine, peer, signal }: LoadRequest): Promise<LoadedKernel> {
    checkCommandLine(commandLine);
    const { path, release, initrd } = image;
    const parameters = { path, release, initrd, commandLine };
    return await this.#journal.act(
      'kernel.load',
      { peer, parameters },
      async () => {
        const giving = this.#give(image, commandLine, signal);
        return await this.#unended.waitFor(`loading ${path}`, giving, {
          signal,
          giveBack: () => this.unload(null),
        });
      },
      () => ({ parameters }),
    );
  }

  /** Gives the kernel an image, unless the signal fires while the file system answers. From then on it is known as loaded. */
  async #give(
    image: KernelImage,
    commandLine: string,
    signal: AbortSignal | undefined,
  ): Promise<LoadedKernel> {
    const { path, release, initrd } = image;
    await using kernelFile = await openRegularFile(path, 'follow');
    await using initrdFile = initrd === null ? null : await openRegularFile(initrd, 'follow');
    await needUnchanged(kernelFile, image);
    signal?.throwIfAborted();
    try {
      await this.#kernel.kexecFileLoad(kernelFile.fd, initrdFile?.fd ?? null, commandLine);
    } catch (error) {
      if (!isKernelFailure(error)) throw error;
      const reason = rejections[error.code];
      if (reason === undefined) throw kernelCallFailed(error);
      throw new Refusal('KernelRejected', { path, errno: error.code, reason });
    }
    this.#loaded = { path, release, initrd, commandLine, loadedAtUs: this.#nowUs() };
    this.#onChange();
    return this.#loaded;
  }

  /** Drops what is loaded; nothing loaded is no error. */
  async unload(peer: RecordedPeer | null): Promise<void> {
    await this.#journal.giveBack(
      'kernel.unload',
      { peer, parameters: { path: this.loaded?.path ?? null } },
      async () => {
        try {
          await this.#kernel.kexecUnload();
        } catch (error) {
          throw isKernelFailure(error) ? kernelCallFailed(error) : error;
        }
        this.#loaded = null;
        this.#onChange();
      },
    );
  }

  #isLoaded(): boolean {
    try {
      return this.#kernel.kexecLoaded();
    } catch {
      return false;
    }
  }
}

/** What is loaded must be the very image that was examined. */
async function needUnchanged(file: FileHandle, { path, size, modifiedAtUs }: KernelImage): Promise<void> {
  const facts = await file.stat({ bigint: true });
  if (Number(facts.size) === size && Number(facts.mtimeNs / 1000n) === modifiedAtUs) return;
  const reason = 'it was replaced while the agent examined it; try again';
  throw new Refusal('FileUnusable', { path, errno: 'ESTALE', reason });
}

/** Whether a command line is longer than the kernel takes. */
export const isTooLong = (commandLine: string): boolean => Buffer.byteLength(commandLine) >= commandLineBytes;

/** @throws Refusal InvalidValue */
export function checkCommandLine(commandLine: string): void {
  if (isTooLong(commandLine) || !commandLine.isWellFormed() || /[^\P{Cc}\t]/u.test(commandLine)) {
    const expected = `one line of fewer than ${commandLineBytes} bytes, without control characters`;
    throw new Refusal('InvalidValue', {
      parameter: 'commandLine',
      value: commandLine.slice(0, 80),
      expected,
    });
  }
}

/**
 * The running kernel's command line for the next one: without what the boot loader added about itself, and without the
 * carrier. Whether the next kernel starts with the carrier is decided for each plan.
 *
 * @param carrier path of the carrier
 */
export function inheritedCommandLine(commandLine: string, carrier: string): string {
  return commandLineWords(withoutInit(commandLine, carrier))
    .filter((word) => !/^(BOOT_IMAGE|initrd)=/.test(word))
    .join(' ');
}
