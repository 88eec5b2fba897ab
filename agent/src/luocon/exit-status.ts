// SPDX-License-Identifier: Apache-2.0
/** What luocon ends with. Scripts rely on these numbers: they do not change, and a new one is a new meaning. */
import type { Outcome } from '../interface/agent.generated.ts';

export const exitStatus = {
  done: 0,
  /** Refused by the agent, or failed. */
  failed: 1,
  /** The command line was wrong. Nothing was asked of the agent. */
  usage: 2,
  /** No agent there, or the connection was lost and did not come back. What was asked may have happened. */
  connection: 3,
  /** It was done, and what it checked is not as it should be. */
  checkFailed: 4,
  /** The update happened and something that was preserved is missing or differs, or a machine does not run. */
  losses: 5,
  coldBoot: 10,
  returned: 11,
  aborted: 12,
  unknown: 13,
} as const;

export type ExitStatus = (typeof exitStatus)[keyof typeof exitStatus];

/** The exit status for how a live update ended, losses aside. */
export const statusOfOutcome: Readonly<Record<Outcome, ExitStatus>> = {
  updated: exitStatus.done,
  cold_boot: exitStatus.coldBoot,
  returned: exitStatus.returned,
  aborted: exitStatus.aborted,
  unknown: exitStatus.unknown,
};

/** For `luocon --help` and the manual. */
export const exitStatusHelp = `
Exit status:
  0   done; for update: updated, with everything that was preserved
  1   failed, or refused by the agent
  2   the command line is wrong; nothing was asked of the agent
  3   no agent there, or the connection was lost and did not come back
  4   done, but a check failed (plan, journal --verify, sessions digest)
  5   update: updated, but something preserved is missing or differs, or a machine does not run
  10  update: the host booted afresh and what was preserved is lost (cold boot)
  11  update: the kernel refused and the host went on as before (returned)
  12  update: aborted before the kexec
  13  update: the agent cannot tell how it ended (unknown)`;
