// SPDX-License-Identifier: Apache-2.0
/** Reports each command to a monitor, for logging. Costs nothing while nobody listens. */
import { channel } from 'node:diagnostics_channel';

/** One command to a monitor, once it was answered. */
export interface MonitorCommand {
  readonly command: string;
  /** Null if it succeeded. */
  readonly problem: string | null;
}

/** Every client of a monitor publishes a `MonitorCommand` here. */
export const monitorCommands = channel('luo-console:monitor-commands');
