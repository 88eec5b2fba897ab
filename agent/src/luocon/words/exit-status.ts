// SPDX-License-Identifier: Apache-2.0
/** What luocon ends with. Scripts rely on these numbers: they do not change, and a new one is a new meaning. */
import type { Outcome } from '../../interface/agent.generated.ts';

export const exitStatus = {
  done: 0,
  /** Refused by the agent, or failed. */
  failed: 1,
  /** The command line was wrong. Nothing was asked of the agent. */
  usage: 2,
  /** The agent cannot be reached, or the connection was lost for good. What was asked may have happened. */
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
  0   done; for update: updated, and nothing was lost
  1   failed, or refused by the agent
  2   the command line is wrong; the agent was not asked
  3   the agent cannot be reached, or the connection was lost for good
  4   done, but a check failed (plan, journal --verify, sessions digest)
  5   update: updated, but something preserved is missing or differs, or a machine is not running
  10  update: the host started without a handover; everything preserved is lost (cold boot)
  11  update: the kernel refused the kexec; the host runs on and nothing is lost (returned)
  12  update: aborted before the kexec
  13  update: the outcome is unknown (unknown)`;
