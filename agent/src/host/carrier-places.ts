// SPDX-License-Identifier: Apache-2.0
/**
 * Where the carrier is and what it leaves behind: the program that the next kernel runs first, which brings the
 * machines back while the host boots.
 */

/** Absolute path of the program, as the kernel's `init=` names it. */
export const carrierPath = '/usr/lib/luo-console-agent/carrier';

/** Its own directory: its status and log, and one directory for each machine. */
export const carrierDirectory = '/run/luo-carrier';
