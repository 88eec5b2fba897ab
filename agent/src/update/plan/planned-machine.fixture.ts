// SPDX-License-Identifier: Apache-2.0
/** A machine of a plan, as far as a check looks at it. */
import type { PlannedMachine } from '../../interface/agent.generated.ts';

/** @param name also that of its session. @param changes what is different about it */
export const plannedMachine = (name: string, changes: Partial<PlannedMachine> = {}): PlannedMachine => ({
  ...{ name, pid: 7, session: `machine:${name}`, memory: 64 * 2 ** 20, way: 'cpr', leave: false },
  ...{ detail: '', risk: '', expectedBlackoutUs: null, measuredBlackoutUs: null },
  ...{ priority: 0, saveLimitUs: null, rehearsal: null },
  ...changes,
});
