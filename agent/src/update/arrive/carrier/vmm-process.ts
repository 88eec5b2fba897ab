// SPDX-License-Identifier: Apache-2.0
/** A VMM that the carrier started, by the number that the carrier wrote down. */
import { readlinkSync, realpathSync } from 'node:fs';
import type { Native } from '@luo-console/native';
import { isInUnit } from '../../../host/control-group.ts';
import { type KnownProcess, openKnown } from '../../../host/known-process.ts';
import { unitOf } from '../../../units/machine-unit.ts';

/**
 * Opens a VMM if it is there. It is one of the carrier's if it has a program and is where the carrier's processes are,
 * beside process 1, or already in the unit of its machine.
 *
 * @param unit the name for the machine's unit (`unitNameOf`)
 * @returns null if it has ended. The caller closes it.
 */
export function openVmm(native: Native, proc: string, pid: number, unit: string): KnownProcess | null {
  return openKnown(native, pid, (number) => {
    try {
      readlinkSync(`${proc}/${number}/exe`);
      return ['init.scope', unitOf(unit)].some((each) => isInUnit(proc, number, each));
    } catch {
      return false;
    }
  });
}

/**
 * Whether a process runs a machine's program, wherever it is: it may be the machine's VMM, which somebody has moved.
 *
 * @param program as the machine's record has it, perhaps with links on the way
 */
export function runsProgram(native: Native, proc: string, pid: number, program: string): boolean {
  using found = openKnown(native, pid, (number) => {
    try {
      const own = readlinkSync(`${proc}/${number}/exe`).replace(/ \(deleted\)$/, '');
      return own === program || own === realpathSync(program);
    } catch {
      return false;
    }
  });
  return found !== null;
}
