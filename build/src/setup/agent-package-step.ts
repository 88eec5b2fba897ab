// SPDX-License-Identifier: Apache-2.0
/** The agent's Debian package, as a step of set-up. */

import { agentPackageIsBuilt, packageAgent } from '../package-agent.ts';
import type { Step } from '../step.ts';

export const agentPackage: Step = {
  name: "the agent's package",
  isDone: agentPackageIsBuilt,
  async run() {
    await packageAgent();
  },
};
