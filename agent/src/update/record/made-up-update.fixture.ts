// SPDX-License-Identifier: Apache-2.0
/** The record of an update that has just begun. */
import type { Update } from '../../interface/agent.generated.ts';

export const madeUpUpdate: Update = {
  id: 'u',
  ...{ startedAtUs: 1, endedAtUs: null, outcome: null, reason: '', fromRelease: 'a', toRelease: 'b' },
  ...{ arrivedRelease: null, fromBootId: 'x', toBootId: null, numberBefore: 0, numberAfter: null },
  ...{
    blackoutUs: null,
    blackouts: null,
    bootStretches: null,
    phases: [],
    carried: [],
    machines: [],
    refusedBy: null,
  },
  ...{ announcedAtUs: null, graceEndsAtUs: null },
  startedBy: { uid: 0, gid: 0, pid: 1, user: 'root', command: 'c', role: 'administrator' },
};
