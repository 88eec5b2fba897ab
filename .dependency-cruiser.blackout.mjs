// SPDX-License-Identifier: Apache-2.0
/**
 * What runs in the next kernel while machines are stopped loads nothing that it does not need. Only values count
 * here, since types are gone when the program runs; that is why this is a configuration of its own.
 */
import everything from '.dependency-cruiser.mjs';

export default {
  forbidden: [
    {
      name: 'blackout',
      comment: 'every file that first-things.ts loads makes every blackout longer',
      severity: 'error',
      from: { path: '^agent/src/update/arrive/first-things\\.ts$' },
      to: { path: '^agent/src/(journal|service|update/plan|update/depart)/', reachable: true },
    },
  ],
  options: { ...everything.options, tsPreCompilationDeps: false },
};
