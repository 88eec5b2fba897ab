// SPDX-License-Identifier: Apache-2.0
/** VMMs as separate services (`units/machine-unit.ts`), as far as restoring a machine needs them. */
import type { HostPaths } from '../host/paths.ts';
import { attachToUnit } from '../units/attached-unit.ts';
import { stopMachineUnit, unitOf } from '../units/machine-unit.ts';
import { resumeInUnit, unitSettled } from '../units/resumed-unit.ts';
import { machineUnitPid } from '../units/unit-process.ts';
import type { VmmStarter } from './restore.ts';
import type { SavedMachine } from './saved-machine.ts';

/** What a unit says of the VMM in it. */
function unitFor(name: string, { program, words, directory, uid, gid }: SavedMachine['command']) {
  return { name, program, words, directory, user: uid === 0 ? null : { uid, gid } };
}

/** @param paths where sysfs and procfs are mounted, and the carrier is */
export function vmmUnits(paths: Pick<HostPaths, 'sys' | 'proc' | 'carrier'>): VmmStarter {
  const { proc, carrier } = paths;
  return {
    resume: async (name, { command, files, directory }) =>
      await resumeInUnit({
        ...unitFor(name, command),
        ...{ openFiles: files, carrier, carrierDirectory: directory },
      }),
    settle: (name) => unitSettled(name),
    pid: async (name) => {
      const pid = await machineUnitPid(name, paths);
      if (pid === null)
        throw new Error(`${unitOf(name)} has no process: see "journalctl -u ${unitOf(name)}"`);
      return pid;
    },
    stop: (name) => stopMachineUnit(name),
    adopt: async (name, pid, files, command) =>
      await attachToUnit(unitFor(name, command), { pid, ...files, carrier, proc }),
  };
}
