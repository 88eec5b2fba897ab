// SPDX-License-Identifier: Apache-2.0
/** The Electron runtime, as a step of set-up. */

import { describeElectron, findElectron, obtainElectron } from '../electron/runtime.ts';
import type { Step } from '../step.ts';

export const electron: Step = {
  name: 'Electron',
  isDone: async () => (await findElectron()) !== undefined,
  async run(detail) {
    detail(describeElectron(await obtainElectron(detail)));
  },
};
