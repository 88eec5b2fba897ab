// SPDX-License-Identifier: Apache-2.0
/** Units of VMMs that replace others (`units/machine-unit.ts`), as far as renewing a machine needs them. */
import { readFileSync } from 'node:fs';
import type { Native } from '@luo-console/native';
import { type UnitMachine, unitNameOf } from '../adoption/restore.ts';
import { runsCarrier } from '../host/carrier-process.ts';
import { controlGroupOf } from '../host/control-group.ts';
import { endKnown, openKnown } from '../host/known-process.ts';
import type { HostPaths } from '../host/paths.ts';
import { machineGroup, unitNamed } from '../units/machine-unit.ts';
import { whyNotEnded } from '../units/other-unit.ts';
import type { Resources } from '../units/resources.ts';
import { machineUnitPid, processesIn } from '../units/unit-process.ts';

/** Where the old and the new VMM of a machine are. */
export interface RenewalPlaces {
  /** Whether the new one gets the machine's second unit. */
  readonly second: boolean;
  /** Whether the old one is in the other one. */
  readonly ownUnit: boolean;
}

export interface RenewalUnits {
  /** @throws Error if the old VMM cannot be ended without harm, or there is no unit for the new one */
  places(session: string, pid: number, resources: Resources | null): Promise<RenewalPlaces>;
  /**
   * Ends the carrier's worker, so that it lets no guest run from then on. The carrier then ends its VMM itself, unless
   * the guest was told to run before. Does nothing if there is no worker yet, or any more.
   */
  interrupt(unit: UnitMachine): Promise<void>;
}

/** Longest that a killed worker may take to end, in ms. */
const endMs = 2000;

type UnitPaths = Pick<HostPaths, 'proc' | 'sys' | 'carrier'>;

/** @param socket the service manager's, where it is not the usual one */
export const renewalUnits = (native: Native, paths: UnitPaths, socket?: string): RenewalUnits => ({
  places: async (session, pid, resources) => {
    const name = unitNameOf({ session });
    const { unit = null, slices = [] } = controlGroupOf(paths.proc, pid) ?? {};
    const ownUnit = unit !== null && [false, true].some((second) => unit === unitNamed(name, second));
    const second = ownUnit && unit === unitNamed(name, false);
    const occupant = await machineUnitPid(name, paths, resources, 0, second);
    if (occupant !== null) throw new Error(`${unitNamed(name, second)} has process ${occupant} already`);
    if (unit?.endsWith('.service')) {
      const group = ['', ...slices, unit].join('/');
      const others = processesIn(paths, group).filter((each) => each !== pid && !runsCarrier(paths, each));
      if (others.length > 0) throw new Error(`its unit ${unit} has other processes, which would end with it`);
    }
    const why = unit === null || ownUnit ? null : await whyNotEnded(unit, socket);
    if (why !== null) throw new Error(why);
    return { second, ownUnit };
  },
  interrupt: async (unit) => {
    const group = machineGroup(unitNameOf(unit), unit.facts?.resources ?? null, unit.beside?.second);
    const carriers = carriersIn(paths, group);
    for (const worker of carriers.filter((pid) => carriers.includes(parentOf(paths.proc, pid)))) {
      using known = openKnown(native, worker, (pid) => runsCarrier(paths, pid));
      if (known !== null) await endKnown(native, known, endMs);
    }
  },
});

function carriersIn(paths: UnitPaths, group: string): number[] {
  try {
    return processesIn(paths, group).filter((pid) => runsCarrier(paths, pid));
  } catch {
    // The unit is not started yet, or is over.
    return [];
  }
}

/** @returns 0 if it is gone */
function parentOf(proc: string, pid: number): number {
  try {
    return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`${proc}/${pid}/status`, 'latin1'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
