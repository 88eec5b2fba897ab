// SPDX-License-Identifier: Apache-2.0
/** Progress for tests that need one phase and no more. Tests of how phases follow each other take recorded.ts. */
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
