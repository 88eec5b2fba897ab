// SPDX-License-Identifier: Apache-2.0
/**
 * The terminals of a host: any number of shells, its serial console once, and that of each of its machines
 * once. There is only one serial line, and the program that offers it (QEMU, for one) lets in a single
 * client. Opening it again gives the terminal that is open, with all it has shown. It ends when everybody who
 * opened it has closed it.
 */

import type { HostEntry } from '../hosts/host-list.ts';
import type { TerminalKind } from '../interface/bridge.generated.ts';
import { ConsoleError, invalidValue } from '../interface/errors.ts';
import { startProgram } from './program-source.ts';
import { openSerial } from './socket-source.ts';
import type { Terminals } from './terminals.ts';

interface HostCommand {
  readonly file: string;
  readonly args: readonly string[];
}

export interface HostTerminalsOptions {
  readonly terminals: Terminals;
  /** The program that is a shell on a host. */
  readonly shellOf: (host: HostEntry) => HostCommand;
  /** The program that shows the serial console of the machine whose VMM is process `pid`. */
  readonly machineConsoleOf: (host: HostEntry, pid: number) => HostCommand;
}

/** Which terminal is wanted, and its size in character cells. */
export interface TerminalWish {
  readonly kind: TerminalKind;
  /** The process of a machine's VMM, for its console. */
  readonly machine: number | null;
  readonly columns: number;
  readonly rows: number;
}

/** A serial console that is open, and by how many it was opened and not closed yet. */
interface SerialLine {
  readonly opening: Promise<string>;
  id: string | null;
  holders: number;
}

export class HostTerminals {
  readonly #terminals: Terminals;
  readonly #options: HostTerminalsOptions;
  /** Serial consoles by host and socket, or by host and process. */
  readonly #serial = new Map<string, SerialLine>();

  constructor(options: HostTerminalsOptions) {
    this.#terminals = options.terminals;
    this.#options = options;
  }

  /**
   * Opens a terminal.
   *
   * @returns its id
   * @throws ConsoleError InvalidValue if the host has no serial console, or no process is named for a machine's;
   *   FileUnusable if the host's socket cannot be connected to
   */
  async open(host: HostEntry, { kind, machine, columns, rows }: TerminalWish): Promise<string> {
    if (kind === 'shell') return this.#run(this.#options.shellOf(host), columns, rows);
    if (kind === 'machine') {
      if (machine === null || machine < 1) throw invalidValue('machine', machine, 'the process of its VMM');
      return this.#share(`${host.id} machine ${machine}`, async () =>
        this.#run(this.#options.machineConsoleOf(host, machine), columns, rows),
      );
    }
    const path = host.serialSocket;
    if (path === null) throw invalidValue('kind', kind, `shell: ${host.name} has no serial console`);
    return this.#share(`${host.id} socket ${path}`, () => this.#openSerial(path));
  }

  #run(command: HostCommand, columns: number, rows: number): string {
    return this.#terminals.open(startProgram({ ...command, columns, rows })).id;
  }

  /** The terminal that is open under `key`, or else one that `begin` opens. */
  async #share(key: string, begin: () => Promise<string>): Promise<string> {
    const known = this.#serial.get(key);
    const open = known && (known.id === null || this.#terminals.isOpen(known.id));
    const line = open ? known : this.#begin(key, begin);
    line.holders += 1;
    return await line.opening;
  }

  /**
   * Closes a terminal for one of the people who opened it. A shell ends at once, a serial console with its
   * last.
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

  #begin(key: string, begin: () => Promise<string>): SerialLine {
    const line: SerialLine = { opening: begin(), id: null, holders: 0 };
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
