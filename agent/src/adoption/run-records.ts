// SPDX-License-Identifier: Apache-2.0
/** What an update says of one of its machines: how it is, and the record with which the next kernel starts it again. */
import type { MachineRun } from '../interface/agent.generated.ts';
import type { Adopted } from './adoption-context.ts';
import type { MachineSaver } from './save.ts';
import type { SavedMachine } from './saved-machine.ts';
import type { VmmFacts } from './vmm-facts.ts';

/** A machine with all that is known of it before its state is. */
export interface Unsaved {
  readonly adopted: Adopted;
  readonly run: MachineRun;
  readonly saver: MachineSaver | null;
  readonly memory: SavedMachine['memory'];
  readonly facts: VmmFacts | null;
  readonly pieces: SavedMachine['pieces'];
}

/** A machine of which nothing is known yet. */
export function emptyRun(name: string, pid: number): MachineRun {
  return {
    name,
    pid,
    newPid: null,
    way: 'none',
    session: null,
    stage: 'waiting',
    detail: '',
    brownoutUs: null,
    suspendedAtUs: null,
    blackoutUs: null,
    parts: [],
    waits: [],
    failedAt: null,
    instructions: null,
    stateBytes: null,
  };
}

/** An adopted machine that runs. */
export function newRun({ session, machine }: Adopted): MachineRun {
  return { ...emptyRun(machine.name, machine.pid), way: machine.way, session, detail: 'it runs' };
}

/** Bytes that were saved of a machine; null if nothing was. */
export const savedBytes = (state: SavedMachine['state']): number | null =>
  state && state.cprBytes + state.mainBytes;

/**
 * The record of a machine.
 *
 * @param state null before it is saved
 */
export function savedMachine(
  { adopted, run, saver, memory, facts, pieces }: Unsaved,
  state: SavedMachine['state'],
  savedAtUs: number,
): SavedMachine {
  const { session, machine } = adopted;
  const { name, definition, way, priority, pid, command, monitor } = machine;
  const { brownoutUs, suspendedAtUs } = run;
  const { ran, settings } = saver?.before ?? { ran: true, settings: null };
  const capabilities = { ...settings?.capabilities };
  return {
    ...{ name, session, definition, way, priority, pid, command, monitor, ran, capabilities },
    ...{ state, pieces, memory, facts, brownoutUs, suspendedAtUs, savedAtUs },
  };
}
