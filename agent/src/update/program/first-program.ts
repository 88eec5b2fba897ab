// SPDX-License-Identifier: Apache-2.0
/** Whether the next kernel starts the carrier, which alone reads a resume program. */
import { carrierPath } from '../../host/carrier-places.ts';
import { initsOf } from '../../kernel/init-parameter.ts';

/** Whether a kernel's command line names the carrier as its first program: the last `init=` counts. */
export const startsCarrier = (commandLine: string): boolean => initsOf(commandLine).at(-1) === carrierPath;
