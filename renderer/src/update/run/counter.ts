// SPDX-License-Identifier: Apache-2.0
/** What the big counter of an update shows while it runs. */
import { machinesBlackout } from '../../state/machine-runs.ts';
import type { UpdateState } from '../../state/update-state.ts';

export interface CounterReading {
  /** `Blackout` once a machine has stopped or, without machines, the new kernel is being started; `Elapsed` before. */
  label: 'Elapsed' | 'Blackout';
  us: number;
}

/**
 * Reads the counter. The blackout of an update without machines begins with the phase `kexec`, which the agent enters when
 * there is nothing left to do but start the kernel, and ends when the sessions are retrieved.
 * @param nowUs the present on this machine's clock, as all times here
 * @param goneAtUs when the host went to start the new kernel, if it is away; null if it is not. The connection may
 *   break before the phase is heard of, and the blackout goes on all the same.
 */
export function counterReading(
  { seen, machines }: Pick<UpdateState, 'seen' | 'machines'>,
  nowUs: number,
  goneAtUs: number | null,
): CounterReading {
  const ofMachines = machinesBlackout(machines);
  if (ofMachines) {
    return { label: 'Blackout', us: Math.max(0, (ofMachines.endUs ?? nowUs) - ofMachines.startUs) };
  }
  const kexec = seen.find(({ phase }) => phase === 'kexec');
  if (kexec) {
    const over = seen.find(({ phase }) => phase === 'resuming' || phase === 'finishing');
    return { label: 'Blackout', us: Math.max(0, (over?.startedAtUs ?? nowUs) - kexec.startedAtUs) };
  }
  if (goneAtUs !== null) return { label: 'Blackout', us: Math.max(0, nowUs - goneAtUs) };
  const [first] = seen;
  return { label: 'Elapsed', us: first ? Math.max(0, nowUs - first.startedAtUs) : 0 };
}
