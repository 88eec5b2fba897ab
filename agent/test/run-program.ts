// SPDX-License-Identifier: Apache-2.0
/**
 * Executes the resume program of one machine in place of the carrier, against a made-up VMM of this process. The carrier
 * itself is tested in `carrier/`: it would not take this process for the VMM that it started. What it leaves behind is
 * the same here: the marks, the log, and a VMM only if its guest may have run.
 */
import { once } from 'node:events';
import { appendFileSync, closeSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { native } from '@luo-console/native';
import type { ResumedVmm } from '../src/adoption/restore.ts';
import { type Decoded, decodeProgram } from '../src/update/program/decode.fixture.ts';

/** The VMM that a program starts. */
export interface StartedVmm {
  /** @param handed files that become its descriptors 3, 4 and so on */
  start(words: readonly string[], handed: readonly number[]): Promise<void>;
  kill(): Promise<void>;
}

/** The byte of the mark from which on a VMM is never ended. */
const running = 2n;

/** @throws Error if the machine does not run, and its guest has not */
export async function runProgram({ files, directory }: ResumedVmm, vmm: StartedVmm): Promise<void> {
  const [program, ...opened] = files.map(({ path }) => openSync(path, 'r+'));
  if (program === undefined) throw new Error('no program was handed over');
  const run = new Run(opened, directory, vmm);
  try {
    await run.all(decodeProgram(contentOf(program)));
  } catch (error) {
    run.say('failed', error instanceof Error ? error.message : String(error));
    if (run.mark >= running) return;
    await vmm.kill();
    throw new Error('the unit did not start (failed)');
  } finally {
    run.close();
    for (const each of [program, ...opened]) closeSync(each);
  }
}

const contentOf = (file: number): Buffer =>
  native.memory.read(file, 0n, Number(native.memory.fileFacts(file).size));

class Run {
  readonly #files: readonly number[];
  readonly #directory: string;
  readonly #vmm: StartedVmm;
  readonly #words: string[] = [];
  readonly #handed: number[] = [];
  #marksAt: { file: number; offset: number } | null = null;
  #stream: Socket | null = null;
  #monitor: Monitor | null = null;
  mark = 0n;

  constructor(files: readonly number[], directory: string, vmm: StartedVmm) {
    this.#files = files;
    this.#directory = directory;
    this.#vmm = vmm;
  }

  async all(program: readonly Decoded[]): Promise<void> {
    if (program.filter(({ does }) => does === 'machine').length !== 1)
      throw new Error('the agent has one machine brought back at a time');
    if (program.filter(({ does }) => does === 'file').length !== this.#files.length)
      throw new Error('the program has another number of files than there are');
    for (const each of program) await this.#one(each);
  }

  say(event: string, text = ''): void {
    const ns = Number(native.kernel.clock('boottime'));
    appendFileSync(join(this.#directory, 'log'), `${JSON.stringify({ ns, machine: 0, event, text })}\n`);
  }

  close(): void {
    this.#stream?.destroy();
    this.#monitor?.close();
  }

  async #one(each: Decoded): Promise<void> {
    const text = (name: string): string => String(each[name]);
    const file = (name: string): number => {
      const found = this.#files[Number(each[name])];
      if (found === undefined) throw new Error(`there is no file ${each[name]}`);
      return found;
    };
    switch (each.does) {
      case 'machine':
        this.#marksAt = { file: file('stateFile'), offset: Number(each['markOffset']) };
        break;
      case 'directory':
        // Others belong to the host that this test runs on.
        if (text('path').startsWith(`${this.#directory}/`)) mkdirSync(text('path'), { recursive: true });
        break;
      case 'word':
        this.#words.push(text('text'));
        break;
      case 'hand':
        this.#handed.push(file('file'));
        break;
      case 'mark':
        this.#write(BigInt(each['value'] ?? 0n));
        break;
      case 'note':
        this.say(text('word'));
        break;
      case 'start':
        await this.#vmm.start(this.#words, this.#handed);
        break;
      case 'connect':
        this.#stream = await connected(text('path'));
        break;
      case 'attach':
        // A VMM of this process reads its streams without descriptors.
        file('file');
        break;
      case 'play':
        this.#play(file('file'), Number(each['offset']), Number(each['bytes']));
        break;
      case 'shut':
        this.#stream?.end();
        break;
      case 'close':
        this.#stream?.end();
        this.#stream = null;
        break;
      case 'monitor':
        this.#monitor = await Monitor.open(text('path'));
        break;
      case 'tell':
        await this.#monitor?.tell(text('command'));
        break;
      case 'try':
        await this.#monitor?.tell(text('command')).catch(() => {});
        break;
      case 'until':
        await this.#monitor?.until(text('command'), text('wanted'), text('refused'));
        break;
      default:
    }
  }

  #write(mark: bigint): void {
    if (this.#marksAt === null) throw new Error('there is no machine yet');
    this.mark = mark;
    writeSync(this.#marksAt.file, Uint8Array.of(Number(mark)), 0, 1, this.#marksAt.offset);
  }

  #play(file: number, offset: number, bytes: number): void {
    const data = Buffer.alloc(bytes);
    if (readSync(file, data, 0, bytes, offset) !== bytes)
      throw new Error(`the saved state ends before byte ${offset + bytes}`);
    this.#stream?.write(data);
  }
}

async function connected(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, 'connect');
  // A VMM that has ended shows elsewhere.
  socket.on('error', () => {});
  return socket;
}

class Monitor {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#lines = createInterface(socket)[Symbol.asyncIterator]();
  }

  static async open(path: string): Promise<Monitor> {
    const monitor = new Monitor(await connected(path));
    await monitor.#next();
    await monitor.tell('{"execute":"qmp_capabilities"}');
    return monitor;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #next(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the VMM hung up its monitor');
    return value;
  }

  /** @returns the answer, and whether an event came before it */
  async tell(command: string): Promise<{ answer: string; event: boolean }> {
    this.#socket.write(`${command}\r\n`);
    for (let event = false; ; event = true) {
      const line = await this.#next();
      if (line.startsWith('{"return"')) return { answer: line, event };
      if (line.includes('"error":')) throw new Error(`QEMU answered ${line}`);
    }
  }

  async until(command: string, wanted: string, refused: string): Promise<void> {
    // QEMU has a blank behind each colon, and a made-up one has none.
    const has = (answer: string, part: string): boolean =>
      answer.replaceAll(' ', '').includes(part.replaceAll(' ', ''));
    const isDone = (answer: string): boolean =>
      wanted.startsWith('!')
        ? !wanted
            .slice(1)
            .split('|')
            .some((each) => has(answer, each))
        : has(answer, wanted);
    for (;;) {
      const { answer, event } = await this.tell(command);
      if (isDone(answer)) return;
      if (refused !== '' && has(answer, refused)) throw new Error(`QEMU answered ${answer}`);
      if (!event) await this.#next();
    }
  }
}
