// SPDX-License-Identifier: Apache-2.0
/**
 * The terminals of a host: a shell on it, any number of times, and its serial console, once. There is
 * only one serial line, so whoever opens it again gets the terminal that is open, with all it has shown.
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

export class HostTerminals {
  readonly #terminals: Terminals;
  readonly #shellOf: HostTerminalsOptions['shellOf'];
  /** Id of the serial console's terminal by host. */
  readonly #serial = new Map<string, Promise<string>>();

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
    const known = await this.#serial.get(key);
    if (known !== undefined && this.#terminals.isOpen(known)) return known;
    const opening = this.#openSerial(path);
    this.#serial.set(key, opening);
    opening.catch(() => this.#serial.delete(key));
    return await opening;
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
