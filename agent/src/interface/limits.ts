// SPDX-License-Identifier: Apache-2.0
/** Limits of what callers may ask for that the interface's types cannot say. Its comments say them in words. */

/** Longest grace that `RunUpdate` takes: how long the announced kexec may wait for an abort, in seconds. */
export const longestGraceSeconds = 600;

/** Longest stop limit that `MakePlan` takes, in seconds. */
export const longestStopSeconds = 7200;

/** Longest that `RenewMachine` may be told to have a guest stopped, and how long that may be if it is not told, in seconds. */
export const mostRenewalSeconds = 600;
export const usualRenewalSeconds = 30;
