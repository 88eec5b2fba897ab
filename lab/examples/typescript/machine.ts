// SPDX-License-Identifier: Apache-2.0
/**
 * The machine that stands for a guest. A counter rewrites a page of its memory with every count, and a clock never goes
 * back. Its memory is one memfd. A second memfd has the state that a real machine has in registers and devices, but
 * only while the machine is stopped. While it runs that memfd is empty, so that an old state is never taken for a newer
 * one.
 *
 * The C example runs the same machine; each can go on with the other's.
 */
import { type Descriptor, kernel, memory } from '@luo-console/native';

const pages = 1024;
const pageWords = 1024;
const memoryBytes = pages * pageWords * 4;
const stateFileBytes = 4096n;
/** Magic, count, clock, CLOCK_REALTIME, checksum of the memory, checksum of what is before it. */
const stateBytes = 40;
const magic = 'COUNTER1';

/** FNV-1a over words, each turned by five bits: a single word that differs always makes another checksum. */
function checksum(words: Uint32Array): number {
  let sum = 2166136261;
  for (const word of words) {
    const mixed = sum ^ word;
    sum = Math.imul((mixed << 5) | (mixed >>> 27), 16777619);
  }
  return sum >>> 0;
}

/** A copy: where a Buffer begins is not where a word may. */
function wordsOf(bytes: Uint8Array, length = bytes.length): Uint32Array {
  return new Uint32Array(new Uint8Array(bytes.subarray(0, length)).buffer);
}

function page(number: number, count: bigint): Uint8Array {
  const salt = Math.imul(Number(count & 0xffff_ffffn), 2654435761);
  const words = new Uint32Array(pageWords);
  for (let index = 0; index < pageWords; index += 1) {
    words[index] = salt ^ Math.imul(number * pageWords + index, 2246822507);
  }
  return new Uint8Array(words.buffer);
}

function createFile(name: string, bytes: bigint): Descriptor {
  const file = memory.memfdCreate(name);
  memory.truncate(file, bytes);
  return file;
}

function needSize(file: Descriptor, bytes: bigint, what: string): void {
  const { size } = memory.fileFacts(file);
  if (size !== bytes) throw new Error(`the ${what} has ${size} bytes, this machine's has ${bytes}`);
}

export class Machine {
  readonly memoryFile: Descriptor;
  readonly stateFile: Descriptor;
  #running = false;
  #count: bigint;
  /** Added to this kernel's CLOCK_BOOTTIME, in ns, it gives the machine's clock. */
  readonly #clockOffset: bigint;

  private constructor(memoryFile: Descriptor, stateFile: Descriptor, count: bigint, clockOffset: bigint) {
    this.memoryFile = memoryFile;
    this.stateFile = stateFile;
    this.#count = count;
    this.#clockOffset = clockOffset;
  }

  get running(): boolean {
    return this.#running;
  }

  /** Makes a stopped machine at count 0. */
  static create(): Machine {
    const memoryFile = createFile('machine-memory', BigInt(memoryBytes));
    const stateFile = createFile('machine-state', stateFileBytes);
    for (let number = 0; number < pages; number += 1) {
      memory.write(memoryFile, BigInt(number * pageWords * 4), page(number, 0n));
    }
    return new Machine(memoryFile, stateFile, 0n, -kernel.clock('boottime'));
  }

  /**
   * Takes over a stopped machine from its files, which stay the caller's if that fails.
   *
   * @throws Error that says what is wrong with them
   */
  static restore(memoryFile: Descriptor, stateFile: Descriptor): Machine {
    needSize(memoryFile, BigInt(memoryBytes), 'memory');
    needSize(stateFile, stateFileBytes, 'device state');
    const bytes = memory.read(stateFile, 0n, stateBytes);
    const state = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.toString('latin1', 0, magic.length) !== magic) {
      throw new Error('there is no device state: the machine was not suspended, or has run since');
    }
    if (state.getUint32(36, true) !== checksum(wordsOf(bytes, 36))) {
      throw new Error('the device state is not what was written');
    }
    // CLOCK_BOOTTIME starts again with each kernel; CLOCK_REALTIME goes on, but may have been set.
    const away = kernel.clock('realtime') - state.getBigInt64(24, true);
    const clock = state.getBigInt64(16, true) + (away > 0n ? away : 0n);
    const count = state.getBigUint64(8, true);
    const machine = new Machine(memoryFile, stateFile, count, clock - kernel.clock('boottime'));
    if (state.getUint32(32, true) !== machine.#checksum()) {
      throw new Error('the memory is not what it was when the machine was suspended');
    }
    return machine;
  }

  /** Lets the machine run. From now on its state file is out of date, so it is emptied. */
  run(): void {
    memory.write(this.stateFile, 0n, Buffer.alloc(stateBytes));
    this.#running = true;
  }

  /** One count. */
  count(): void {
    this.#count += 1n;
    const number = Number(this.#count % BigInt(pages));
    memory.write(this.memoryFile, BigInt(number * pageWords * 4), page(number, this.#count));
  }

  /** Stops the machine, and writes its state. */
  suspend(): void {
    this.#running = false;
    const bytes = Buffer.alloc(stateBytes);
    bytes.write(magic, 'latin1');
    bytes.writeBigUInt64LE(this.#count, 8);
    bytes.writeBigInt64LE(this.#clock(), 16);
    bytes.writeBigInt64LE(kernel.clock('realtime'), 24);
    bytes.writeUInt32LE(this.#checksum(), 32);
    bytes.writeUInt32LE(checksum(wordsOf(bytes, 36)), 36);
    memory.write(this.stateFile, 0n, bytes);
  }

  /** Count, clock in seconds and checksum of the memory, for people. */
  toString(): string {
    const digits = this.#clock().toString().padStart(10, '0');
    const sum = this.#checksum().toString(16).padStart(8, '0');
    return `${this.#count} clock ${digits.slice(0, -9)}.${digits.slice(-9)} checksum ${sum}`;
  }

  #clock(): bigint {
    return kernel.clock('boottime') + this.#clockOffset;
  }

  #checksum(): number {
    return checksum(wordsOf(memory.read(this.memoryFile, 0n, memoryBytes)));
  }
}
