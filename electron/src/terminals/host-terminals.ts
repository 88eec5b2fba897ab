// SPDX-License-Identifier: Apache-2.0
/**
 * The terminals of a host: a shell on it, any number of times, and its serial console, once. There is
 * only one serial line, and what offers it (QEMU, for one) lets in a single client: whoever opens it again gets
 * the terminal that is open, with all it has shown, and it ends when the last who opened it has closed it.
 */
import type { TerminalKind } from '../bridge/bridge.generated.ts';
import { ConsoleError, invalidValue } from '../bridge/errors.ts';
import type { HostEntry } from '../hosts/host-list.ts';
import { startProgram } from './program-source.ts';
import { openSerial } from './socket-source.ts';
import type { Terminals } from './terminals.ts';

export interface HostTerminalsOptions {
  readonly terminals: Terminals;
  /** The program that is a shell on a host. */
  readonly shellOf: (host: HostEntry) => { readonly file: string; readonly args: readonly string[] };
}

/** A serial console that is open, and by how many it was opened and not closed yet. */
interface SerialLine {
  readonly opening: Promise<string>;
  id: string | null;
  holders: number;
}

export class HostTerminals {
  readonly #terminals: Terminals;
  readonly #shellOf: HostTerminalsOptions['shellOf'];
  /** The serial console's terminal by host and socket. */
  readonly #serial = new Map<string, SerialLine>();

  constructor({ terminals, shellOf }: HostTerminalsOptions) {
    this.#terminals = terminals;
    this.#shellOf = shellOf;
  }

  /**
   * Opens a terminal, in character cells.
   *
   * @returns its id
   * @throws ConsoleError InvalidValue if the host has no serial console; FileUnusable if its socket cannot be connected to
   */
  async open(host: HostEntry, kind: TerminalKind, columns: number, rows: number): Promise<string> {
    if (kind === 'shell')
      return this.#terminals.open(startProgram({ ...this.#shellOf(host), columns, rows })).id;
    const path = host.serialSocket;
    if (path === null) throw invalidValue('kind', kind, `shell: ${host.name} has no serial console`);
    const key = `${host.id} ${path}`;
    const known = this.#serial.get(key);
    const open = known && (known.id === null || this.#terminals.isOpen(known.id));
    const line = open ? known : this.#begin(key, path);
    line.holders += 1;
    return await line.opening;
  }

  /**
   * Closes a terminal for one of those who opened it. A shell ends at once, a serial console with its last.
   *
   * @throws ConsoleError TerminalNotFound
   */
  close(id: string): void {
    for (const [key, line] of this.#serial) {
      if (line.id !== id) continue;
      line.holders -= 1;
      if (line.holders > 0 && this.#terminals.isOpen(id)) return;
      this.#serial.delete(key);
    }
    this.#terminals.close(id);
  }

  #begin(key: string, path: string): SerialLine {
    const line: SerialLine = { opening: this.#openSerial(path), id: null, holders: 0 };
    this.#serial.set(key, line);
    line.opening.then(
      (id) => {
        line.id = id;
      },
      () => this.#serial.delete(key),
    );
    return line;
  }

  async #openSerial(path: string): Promise<string> {
    try {
      return this.#terminals.open(await openSerial(path)).id;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new ConsoleError('FileUnusable', { path, errno: code ?? '', reason: message }, message);
    }
  }
}
