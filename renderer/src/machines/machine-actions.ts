// SPDX-License-Identifier: Apache-2.0
/**
 * The actions on a host's machines for the command palette. It lists machines that were read, so the Machines view
 * must have been open.
 */
import type { HeldMachine, Machine } from '@luo-console/agent/interface';
import type { Host } from '@luo-console/electron/interface';
import type { Action } from '../state/action.ts';
import type { ConsoleState } from '../state/console.svelte.ts';
import { whyNotAct, whyNotChange } from '../state/focus.ts';
import { abandonWords, rehearseWords, retryWords } from '../words/machines.ts';
import { renewWords } from '../words/renewal.ts';
import { startMachine } from './start-machine.ts';
import { whyNotAdopt, whyNotRetry, whyNotStart } from './why-not.ts';

function show(state: ConsoleState, { pid, name }: Machine): void {
  state.show('machines');
  state.selectedMachine = { kind: 'machine', pid, name };
}

function actionsOf(state: ConsoleState, host: Host, machine: Machine): Action[] {
  const { name, pid, session, consolePath } = machine;
  const adopt: Action = {
    name: `Adopt ${name}`,
    group: 'Machine',
    off: whyNotAdopt(host, machine),
    run: () => {
      show(state, machine);
      state.dialog = { name: 'adopt', machine };
    },
  };
  const release: Action = {
    name: `Release ${name}`,
    group: 'Machine',
    off: whyNotChange(host),
    run: () => {
      show(state, machine);
      state.dialog = { name: 'release', machine };
    },
  };
  const rehearse: Action = {
    name: rehearseWords.title(name),
    group: 'Machine',
    off: whyNotChange(host),
    run: () => {
      show(state, machine);
      state.dialog = { name: 'rehearse', machine };
    },
  };
  const renew: Action = {
    name: renewWords.title(name),
    group: 'Machine',
    off: whyNotChange(host),
    run: () => {
      show(state, machine);
      state.dialog = { name: 'renew', machine };
    },
  };
  const open: Action = {
    name: `Open the console of ${name}`,
    group: 'Machine',
    off: whyNotAct(host),
    run: () => {
      state.terminals.add(host, 'machine', { pid, name });
      state.show('terminal');
    },
  };
  return [
    ...(session === null ? [adopt] : [release, rehearse, renew]),
    ...(consolePath === null ? [] : [open]),
  ];
}

function actionsOfHeld(state: ConsoleState, host: Host, machine: HeldMachine): Action[] {
  const { name, session } = machine;
  const open = (dialog: 'retry' | 'abandon') => () => {
    state.show('machines');
    state.selectedMachine = { kind: 'held', session, name };
    state.dialog = { name: dialog, machine };
  };
  return [
    { name: retryWords.title(name), group: 'Machine', off: whyNotRetry(host, machine), run: open('retry') },
    { name: abandonWords.title(name), group: 'Machine', off: whyNotChange(host), run: open('abandon') },
  ];
}

/** The actions for the machines of a host, for its held ones, and for those of its definitions that do not run. */
export function machineActions(state: ConsoleState, host: Host): Action[] {
  const { machines } = state.data(host.id);
  return [
    ...machines.all.flatMap((machine) => actionsOf(state, host, machine)),
    ...machines.held.flatMap((machine) => actionsOfHeld(state, host, machine)),
    ...machines.idle.map((definition) => ({
      name: `Start ${definition.name}`,
      group: 'Machine' as const,
      off: whyNotStart(host, machines.held, definition),
      run: () => {
        state.show('machines');
        void startMachine(state, host.id, definition.name);
      },
    })),
  ];
}
