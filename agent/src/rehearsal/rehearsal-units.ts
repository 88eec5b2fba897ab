// SPDX-License-Identifier: Apache-2.0
/** Rehearsals as units of the service manager (`units/rehearsal-unit.ts`), as far as rehearsing needs them. */
import type { HostPaths } from '../host/paths.ts';
import {
  endAllRehearsalUnits,
  endRehearsalUnit,
  type RehearsalUnit,
  runRehearsalUnit,
} from '../units/rehearsal-unit.ts';

/** Starts rehearsals as something that ends by itself, whatever becomes of the agent. */
export interface RehearsalUnits {
  /** Resolves once the carrier and all that it started have ended. */
  run(unit: Omit<RehearsalUnit, 'carrier'>): Promise<void>;
  /** Ends what is left of a machine's. */
  end(session: string): Promise<void>;
  /** Ends all, of an agent before this one too. */
  endAll(): Promise<void>;
}

/** @param paths where the carrier is */
export const rehearsalUnits = ({ carrier }: Pick<HostPaths, 'carrier'>): RehearsalUnits => ({
  run: (unit) => runRehearsalUnit({ ...unit, carrier }),
  end: (session) => endRehearsalUnit(session),
  endAll: () => endAllRehearsalUnits(),
});
