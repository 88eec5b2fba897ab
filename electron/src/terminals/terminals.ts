// SPDX-License-Identifier: Apache-2.0
/** All terminals of the console by id. One that has ended stays until it is closed, so it can be read. */
import { randomUUID } from 'node:crypto';
import { ConsoleError, invalidValue } from '../interface/errors.ts';
import { Terminal, type TerminalSource } from './terminal.ts';

const largestSide = 1000;

/** Throws InvalidValue unless both are sizes that a terminal can have, in character cells. */
export function checkSize(columns: number, rows: number): void {
  const sides = { columns, rows };
  for (const [name, side] of Object.entries(sides)) {
    if (side < 1 || side > largestSide) throw invalidValue(name, side, `1 to ${largestSide}`);
  }
}

export class Terminals {
  readonly #terminals = new Map<string, Terminal>();

  /** Takes over `source` and shows it under a new id. */
  open(source: TerminalSource): Terminal {
    const terminal = new Terminal(randomUUID(), source);
    this.#terminals.set(terminal.id, terminal);
    return terminal;
  }

  /** @throws ConsoleError TerminalNotFound */
  get(id: string): Terminal {
    const terminal = this.#terminals.get(id);
    if (terminal) return terminal;
    throw new ConsoleError(
      'TerminalNotFound',
      { terminal: id },
      `There is no terminal ${id}; it was closed.`,
    );
  }

  /** Whether there is such a terminal and it has not ended. */
  isOpen(id: string): boolean {
    return this.#terminals.get(id)?.ended === false;
  }

  /**
   * Ends a terminal and forgets it.
   *
   * @throws ConsoleError TerminalNotFound
   */
  close(id: string): void {
    const terminal = this.get(id);
    this.#terminals.delete(id);
    terminal.end();
  }

  /** Forgets a terminal that has ended, unless that was done already. */
  drop(id: string): void {
    this.#terminals.delete(id);
  }

  closeAll(): void {
    for (const id of [...this.#terminals.keys()]) this.close(id);
  }
}
