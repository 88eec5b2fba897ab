// SPDX-License-Identifier: Apache-2.0
/** Runs luocon in this process against a fake agent, and keeps what it wrote. */
import { PassThrough } from 'node:stream';
import { runLuocon } from './run.ts';

export interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as JSON, one value a line. */
  readonly json: unknown[];
}

export interface RunOptions {
  /** What is typed, on a terminal; without it nobody is there. */
  readonly typed?: string;
  /** Whether standard output is a terminal. */
  readonly terminal?: boolean;
  readonly signal?: AbortSignal;
  /** Is told each piece of standard output. */
  readonly onOutput?: (text: string) => void;
}

class Sink extends PassThrough {
  readonly isTTY: boolean;
  text = '';

  constructor(isTTY: boolean, onOutput?: (text: string) => void) {
    super();
    this.isTTY = isTTY;
    this.on('data', (piece: Buffer) => {
      this.text += piece.toString();
      onOutput?.(piece.toString());
    });
  }
}

export async function luocon(args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const stdin = new Sink(options.typed !== undefined);
  const stdout = new Sink(options.terminal ?? false, options.onOutput);
  const stderr = new Sink(options.typed !== undefined);
  const input = Object.assign(new PassThrough(), { isTTY: stdin.isTTY });
  if (options.typed !== undefined) input.write(options.typed);
  const signal = options.signal ?? new AbortController().signal;
  const status = await runLuocon(args, { stdin: input, stdout, stderr }, signal);
  const lines = stdout.text.split('\n').filter((line) => line !== '');
  return {
    status,
    stdout: stdout.text,
    stderr: stderr.text,
    get json() {
      return lines.map((line): unknown => JSON.parse(line));
    },
  };
}
