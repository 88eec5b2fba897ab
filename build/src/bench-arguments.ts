// SPDX-License-Identifier: Apache-2.0
/** What can be told of a benchmark's command line before the lab's own code can be loaded. */

const measurements: readonly string[] = ['blackout', 'descriptors', 'idle'];

/** Whether a host has to be made: not for help, and not for a measurement that there is not. */
export function measures(args: readonly string[]): boolean {
  return measurements.includes(args[0] ?? '') && !args.includes('--help') && !args.includes('-h');
}
