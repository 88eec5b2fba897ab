// SPDX-License-Identifier: Apache-2.0
/** How a renewal goes, and how it went, in words. */
import type { Renewal, RenewalStage } from '../../interface/agent.generated.ts';
import { duration } from './quantities.ts';

export const renewalStageWords: Readonly<Record<RenewalStage, string>> = {
  rehearsing: 'rehearsing it',
  saving: 'stopping it and saving its state',
  starting: 'starting its new VMM',
  ending: 'it runs in its new VMM; ending the old one',
};

/** For example `renewed: QEMU 11.1.3 (pid 7) in place of 11.1.2 (pid 5); its guest was stopped for 0.9 s`. */
export function renewalWords(renewal: Renewal): string {
  const { outcome, problem, pid, newPid, version, newVersion, stoppedUs } = renewal;
  const stopped = stoppedUs === null ? '' : `; its guest was stopped for ${duration(stoppedUs)}`;
  const why = problem ?? 'for an unknown reason';
  if (outcome === 'runs_on') return `not renewed, and runs on as before (pid ${pid})${stopped}: ${why}`;
  if (outcome === 'stopped') return `not renewed, and stopped: ${why}`;
  const vmm = (of: string | null, number: number | null): string =>
    `QEMU ${of ?? 'of an unknown version'} (pid ${number ?? 'unknown'})`;
  const left = problem === null ? '' : `; ${problem}`;
  return `renewed: ${vmm(newVersion, newPid)} in place of ${vmm(version, pid)}${stopped}${left}`;
}
