// SPDX-License-Identifier: Apache-2.0
/** Whether the next kernel starts the carrier, which alone reads a resume program. */
import { carrierPath } from '../../host/carrier-places.ts';
import { commandLineWords } from '../../kernel/facts.ts';

const prefix = 'init=';

/**
 * Whether a kernel's command line names the carrier as its first program. The last `init=` counts, and behind `--`
 * are words for that program (`init_setup` and `parse_args`, init/main.c).
 */
export function startsCarrier(commandLine: string): boolean {
  const words = commandLineWords(commandLine);
  const end = words.indexOf('--');
  const own = end < 0 ? words : words.slice(0, end);
  return own.findLast((word) => word.startsWith(prefix)) === `${prefix}${carrierPath}`;
}
