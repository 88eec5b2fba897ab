// SPDX-License-Identifier: Apache-2.0
/** Where the carrier is, and where it leaves what it did. The package installs it; `native-bindings/carrier` is its source. */

/** The program that the next kernel runs as process 1. */
export const carrierPath = '/usr/lib/luo-console-agent/carrier';

/** The carrier's directory in the kernel that it started with. */
export const carrierDirectory = '/run/luo-carrier';
