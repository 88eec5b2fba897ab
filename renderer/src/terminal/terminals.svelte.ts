// SPDX-License-Identifier: Apache-2.0
// The terminals that are open, shells on hosts and serial consoles. The programs behind them run in the main process; this
// keeps the list, so that a terminal lives on while another view is on the screen.
import type { Host, TerminalKind } from '@luo-console/electron/bridge';

export interface OpenTerminal {
  key: number;
  host: string;
  hostName: string;
  kind: TerminalKind;
}

export class TerminalsStore {
  open = $state.raw<OpenTerminal[]>([]);
  selected = $state<number | null>(null);
  #last = 0;

  /** Opens one more and selects it. */
  add(host: Host, kind: TerminalKind): void {
    this.#last += 1;
    this.open = [...this.open, { key: this.#last, host: host.id, hostName: host.name, kind }];
    this.selected = this.#last;
  }

  close(key: number): void {
    const at = this.open.findIndex((terminal) => terminal.key === key);
    this.open = this.open.filter((terminal) => terminal.key !== key);
    if (this.selected === key) this.selected = this.open[Math.min(at, this.open.length - 1)]?.key ?? null;
  }
}
