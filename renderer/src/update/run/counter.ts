// SPDX-License-Identifier: Apache-2.0
/** What the big counter of an update shows while it runs. */
import type { MachineRun, PhaseTiming } from '@luo-console/agent/interface';
import { machinesBlackout } from '../../state/machine-runs.ts';

export interface CounterReading {
  /** `Blackout` once a machine is suspended or the kexec is set off, `Elapsed` before. */
  label: 'Elapsed' | 'Blackout';
  us: number;
}

/**
 * What the big counter shows. All times on this machine's clock.
 * @param jumpAtUs when the kexec is set off, the grace being over; null if that is not known yet
 * @param machines those of the live update
 */
export function counterReading(
  seen: readonly PhaseTiming[],
  jumpAtUs: number | null,
  nowUs: number,
  machines: readonly MachineRun[] = [],
): CounterReading {
  const ofMachines = machinesBlackout(machines);
  if (ofMachines) {
    return { label: 'Blackout', us: Math.max(0, (ofMachines.endUs ?? nowUs) - ofMachines.startUs) };
  }
  const first = seen[0];
  if (jumpAtUs === null || nowUs < jumpAtUs) {
    return { label: 'Elapsed', us: first ? Math.max(0, nowUs - first.startedAtUs) : 0 };
  }
  const over = seen.find(({ phase }) => phase === 'resuming' || phase === 'finishing');
  return { label: 'Blackout', us: Math.max(0, (over ? over.startedAtUs : nowUs) - jumpAtUs) };
}
