// SPDX-License-Identifier: Apache-2.0
/** Which processes run the carrier's program. */
import { readlinkSync } from 'node:fs';
import type { HostPaths } from './paths.ts';

/** Whether a process runs the carrier. No, if there is no such process or nobody may know. */
export function runsCarrier({ proc, carrier }: Pick<HostPaths, 'proc' | 'carrier'>, pid: number): boolean {
  try {
    const program = readlinkSync(`${proc}/${pid}/exe`);
    // The package may have been replaced since.
    return program.replace(/ \(deleted\)$/, '') === carrier;
  } catch {
    return false;
  }
}
