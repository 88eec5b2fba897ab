// SPDX-License-Identifier: Apache-2.0
/**
 * Starts a machine from its definition and shows it once it runs. A failure is kept where the definition is shown.
 */
import type { ConsoleState } from '../state/console.svelte.ts';
import { adoptWords } from '../words/machines.ts';

/** @param name of the definition. Never throws. */
export async function startMachine(app: ConsoleState, host: string, name: string): Promise<void> {
  app.selectedMachine = { kind: 'definition', name };
  const machine = await app.data(host).machines.start(name);
  if (!machine) return;
  app.tell(`${machine.name} runs`, `It is adopted. ${adoptWords.carried}`);
  // Unless another one was chosen meanwhile.
  if (app.selectedMachine?.name === name) {
    app.selectedMachine = { kind: 'machine', pid: machine.pid, name: machine.name };
  }
}
