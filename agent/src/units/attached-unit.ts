// SPDX-License-Identifier: Apache-2.0
/**
 * The unit of a VMM that process 1 did not start: the carrier did, before there was a service manager. Such a VMM is
 * beside process 1, in no unit, and would end only after all file systems are unmounted. So it becomes the main process
 * of a unit like those of other machines. Everything that a unit sets up for a program it starts, as its user or its
 * limits, the VMM has already.
 */
import { isInUnit } from '../host/control-group.ts';
import { Variant } from './bus-message.ts';
import { ask, type MachineUnit, startTransient, unitOf, unitProperties } from './machine-unit.ts';
import { ManagerRefusal } from './manager-bus.ts';

/** A VMM that runs. */
export interface RunningVmm {
  readonly pid: number;
  /** A file of root's with its number: the service manager takes a main process from elsewhere only then. */
  readonly pidFile: string;
  /** The FIFO to which it writes. */
  readonly output: string;
  /** The carrier's program, which passes on what comes there. */
  readonly carrier: string;
  /** Where procfs is mounted. */
  readonly proc: string;
}

/** The properties of a unit whose process runs already (org.freedesktop.systemd1(5)), by their names. */
export function attachedProperties(
  unit: Omit<MachineUnit, 'openFiles'>,
  { pidFile, output, carrier }: Pick<RunningVmm, 'pidFile' | 'output' | 'carrier'>,
): Readonly<Record<string, Variant>> {
  const { OpenFile: _, ...properties } = unitProperties({ ...unit, openFiles: [] });
  return {
    ...properties,
    // A program that ends at once. The process that counts is the VMM, by the number in the file. What is left behind
    // beside it passes on to the journal what the VMM writes. If it failed, the unit's end would remove the VMM's
    // directory.
    Type: new Variant('s', 'forking'),
    PIDFile: new Variant('s', pidFile),
    ExecStartEx: new Variant('a(sasas)', [
      [carrier, [carrier, 'relay', output], ['no-env-expand', 'ignore-failure']],
    ]),
    // Nobody depends on it: the VMM stands there already, perhaps below a file system that was mounted since.
    WorkingDirectory: new Variant('s', `-${unit.directory}`),
    // AttachProcessesToUnit is refused without it.
    Delegate: new Variant('b', true),
  };
}

/**
 * Makes a VMM the main process of its machine's unit, and moves it there. One that is there already is left alone.
 *
 * @param socket the service manager's, where it is not the usual one
 * @throws Error in the service manager's words
 */
export async function attachToUnit(
  unit: Omit<MachineUnit, 'openFiles'>,
  vmm: RunningVmm,
  socket?: string,
): Promise<void> {
  const name = unitOf(unit.name);
  const { pid, proc } = vmm;
  if (isInUnit(proc, pid, name)) return;
  await ask(socket, 'AttachProcessesToUnit', async (bus) => {
    try {
      await startTransient(bus, name, attachedProperties(unit, vmm));
    } catch (error) {
      // An agent that ended before it could move the process has left it.
      const there = error instanceof ManagerRefusal && error.code === 'org.freedesktop.systemd1.UnitExists';
      if (!there) throw error;
    }
    await bus.call('AttachProcessesToUnit', 'ssau', [name, '', [pid]]);
  });
}
