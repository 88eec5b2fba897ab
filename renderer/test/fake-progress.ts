// SPDX-License-Identifier: Apache-2.0
// The progress of a live update as an agent would tell of it, for tests of the window alone.
import type { Phase, Progress } from '@luo-console/agent/interface';
import { nowUs, second } from './fake-hosts.ts';

export function progress(phase: Phase, more: Partial<Progress> = {}): Progress {
  return {
    update: 'u-0004',
    phase,
    phaseStartedAtUs: nowUs(),
    startedAtUs: nowUs() - second,
    step: null,
    message: `at ${phase}`,
    done: null,
    total: null,
    graceEndsAtUs: null,
    mayAbort: ['preserving', 'prepared', 'suspending'].includes(phase),
    machines: [],
    ...more,
  };
}
