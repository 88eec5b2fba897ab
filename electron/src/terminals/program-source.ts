// SPDX-License-Identifier: Apache-2.0
/** A program in a pseudo-terminal, through node-pty. */
import { homedir } from 'node:os';
import { type IPty, spawn } from 'node-pty';
import { programEnvironment } from './environment.ts';
import type { SourceListener, TerminalSource } from './terminal.ts';

export interface Program {
  /** Found through `PATH` if it has no slash. */
  readonly file: string;
  readonly args: readonly string[];
  readonly columns: number;
  readonly rows: number;
}

class ProgramSource implements TerminalSource {
  readonly #pty: IPty;
  #ended = false;

  constructor(pty: IPty) {
    this.#pty = pty;
  }

  attach(listener: SourceListener): void {
    this.#pty.onData((text) => listener.onData(text));
    this.#pty.onExit(({ exitCode, signal }) => {
      this.#ended = true;
      listener.onEnd(signal ? null : exitCode);
    });
  }

  write(data: string): void {
    this.#pty.write(data);
  }

  resize(columns: number, rows: number): void {
    this.#pty.resize(columns, rows);
  }

  end(): void {
    if (!this.#ended) this.#pty.kill('SIGHUP');
  }
}

/**
 * Starts `program` in the person's home folder. A program that cannot be executed shows as a terminal
 * that ends at once with a non-zero exit code.
 *
 * @throws Error if no pseudo-terminal can be had
 */
export function startProgram({ file, args, columns, rows }: Program): TerminalSource {
  const env = programEnvironment(process.env);
  return new ProgramSource(
    spawn(file, [...args], { name: 'xterm-256color', cols: columns, rows, cwd: homedir(), env }),
  );
}
