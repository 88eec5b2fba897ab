// SPDX-License-Identifier: Apache-2.0
/** When the host's own boot came to what a guest's network needs, as the kernel and the service manager say. */
import type { MachineRun } from '@luo-console/agent/interface';

/** From when the guest runs again, in ms; below 0 if it was earlier. */
export interface NetworkTimes {
  /** The service manager has started the network manager. */
  readonly managerMs: number;
  /** The bridge passes on what comes from the wire. */
  readonly cardMs: number;
  /** It passes on what comes from the guest. */
  readonly tapMs: number;
}

/** The bridge and its ports. */
export interface Ports {
  readonly bridge: string;
  readonly card: string;
  readonly tap: string;
}

/**
 * Reads them.
 *
 * @param kernelLog with the time of each line in brackets, in s of the kernel's clock
 * @param managerUs when the network manager was started, on the same clock
 * @throws Error if a port never passed anything on, or the machine does not run
 */
export function networkTimes(
  kernelLog: string,
  managerUs: number,
  { name, parts }: Pick<MachineRun, 'name' | 'parts'>,
  { bridge, card, tap }: Ports,
): NetworkTimes {
  const boot = parts.find(({ part }) => part === 'boot');
  const resume = parts.find(({ part }) => part === 'resume');
  if (boot === undefined || resume === undefined) throw new Error(`machine ${name} has not resumed`);
  // The next kernel's clock starts with the part "boot".
  const runsUs = resume.startedAtUs + resume.durationUs - boot.startedAtUs;
  const forwardsUs = (port: string): number => {
    // `br_set_state`, net/bridge/br_stp.c.
    const said = new RegExp(
      `^\\[ *(\\d+\\.\\d+)\\] ${bridge}: port \\d+\\(${port}\\) entered forwarding state$`,
      'm',
    );
    const seconds = said.exec(kernelLog)?.[1];
    if (seconds === undefined) throw new Error(`${bridge} has never passed on what comes from ${port}`);
    return Number(seconds) * 1_000_000;
  };
  const inMs = (us: number): number => (us - runsUs) / 1000;
  return {
    managerMs: inMs(managerUs),
    cardMs: inMs(forwardsUs(card)),
    tapMs: inMs(forwardsUs(tap)),
  };
}
