// SPDX-License-Identifier: Apache-2.0
/**
 * The open terminals: shells on hosts, and serial consoles of hosts and machines. Their programs run in the main
 * process. This keeps the list, so that a terminal lives on while another view is shown.
 */
import type { Host, TerminalKind } from '@luo-console/electron/interface';

/** A machine by the process of its VMM when its console was opened, and by its name, which it keeps. */
export interface TerminalMachine {
  pid: number;
  name: string;
}

export interface OpenTerminal {
  key: number;
  host: string;
  hostName: string;
  kind: TerminalKind;
  /** Whose console it is, for a machine's. */
  machine: TerminalMachine | null;
}

const kindWords: Record<TerminalKind, string> = {
  shell: 'shell',
  serial: 'serial console',
  machine: 'console',
};

/** What a terminal is called: `hv-01 shell`, `web-01 console`. */
export function terminalTitle({ kind, hostName, machine }: OpenTerminal): string {
  return `${machine?.name ?? hostName} ${kindWords[kind]}`;
}

/** As `terminalTitle`, for who does not see where it stands: `Console of web-01 on hv-01`. */
export function terminalLabel({ kind, hostName, machine }: OpenTerminal): string {
  const words = kindWords[kind];
  const of = machine ? `${machine.name} on ${hostName}` : hostName;
  return `${words.charAt(0).toUpperCase()}${words.slice(1)} of ${of}`;
}

export class TerminalsStore {
  open = $state.raw<OpenTerminal[]>([]);
  selected = $state<number | null>(null);
  #last = 0;

  /** Opens one more and selects it. */
  add(host: Host, kind: TerminalKind, machine: TerminalMachine | null = null): void {
    this.#last += 1;
    this.open = [...this.open, { key: this.#last, host: host.id, hostName: host.name, kind, machine }];
    this.selected = this.#last;
  }

  close(key: number): void {
    const at = this.open.findIndex((terminal) => terminal.key === key);
    this.open = this.open.filter((terminal) => terminal.key !== key);
    if (this.selected === key) this.selected = this.open[Math.min(at, this.open.length - 1)]?.key ?? null;
  }
}
