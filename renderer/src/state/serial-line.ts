// SPDX-License-Identifier: Apache-2.0
/**
 * The serial console of a host while its update runs. It is opened once and stays open when the view is left, so
 * that no line of it is missed. The main process shares the line with all who have it open.
 */
import { call } from '../bridge/bridge.ts';

export class SerialLine {
  readonly #host: string;
  #opening: Promise<string> | null = null;

  constructor(host: string) {
    this.#host = host;
  }

  /**
   * Opens it, or gives what is open already, for a screen of that size in character cells.
   * @returns the terminal's id
   * @throws Failure
   */
  async open(columns: number, rows: number): Promise<string> {
    const parameters = { host: this.#host, kind: 'serial' as const, columns, rows };
    const opening = this.#opening ?? call('OpenTerminal', parameters).then(({ terminal }) => terminal);
    this.#opening = opening;
    try {
      return await opening;
    } catch (thrown) {
      if (this.#opening === opening) this.#opening = null;
      throw thrown;
    }
  }

  /** Lets go of it. One that has ended needs this before it can be opened anew. */
  close(): void {
    const opened = this.#opening;
    this.#opening = null;
    // What could not be opened, or has gone meanwhile, needs no closing.
    opened?.then((terminal) => call('CloseTerminal', { terminal })).catch(() => {});
  }
}
