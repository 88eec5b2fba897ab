// SPDX-License-Identifier: Apache-2.0
/** VMMs as separate services (`units/machine-unit.ts`), as far as restoring a machine needs them. */
import type { HostPaths } from '../host/paths.ts';
import { attachToUnit } from '../units/attached-unit.ts';
import { stopMachineUnit, unitNamed } from '../units/machine-unit.ts';
import { resumeInUnit, unitSettled } from '../units/resumed-unit.ts';
import { machineUnitPid } from '../units/unit-process.ts';
import { type UnitMachine, unitNameOf, type VmmStarter } from './restore.ts';

/** What the unit of a machine is made of. */
function unitFor(machine: UnitMachine) {
  const { program, words, directory, uid, gid } = machine.command;
  const user = uid === 0 ? null : { uid, gid };
  const resources = machine.facts?.resources ?? null;
  return { name: unitNameOf(machine), program, words, directory, user, resources, beside: machine.beside };
}

/** @param paths where sysfs and procfs are mounted, and the carrier is */
export function vmmUnits(paths: Pick<HostPaths, 'sys' | 'proc' | 'carrier'>): VmmStarter {
  const { proc, carrier } = paths;
  return {
    resume: async (machine, { files, directory }) =>
      await resumeInUnit({ ...unitFor(machine), openFiles: files, carrier, carrierDirectory: directory }),
    settle: (machine) => unitSettled(unitNameOf(machine), undefined, machine.beside?.second),
    pid: async (machine) => {
      const name = unitNameOf(machine);
      const resources = machine.facts?.resources ?? null;
      const second = machine.beside?.second;
      const pid = await machineUnitPid(name, paths, resources, undefined, second);
      if (pid !== null) return pid;
      const unit = unitNamed(name, second ?? false);
      throw new Error(`${unit} has no process: see "journalctl -u ${unit}"`);
    },
    stop: (machine) => stopMachineUnit(unitNameOf(machine), undefined, machine.beside?.second),
    adopt: async (machine, pid, files) =>
      await attachToUnit(unitFor(machine), { pid, ...files, carrier, proc }),
  };
}
