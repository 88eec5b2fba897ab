// SPDX-License-Identifier: Apache-2.0
/**
 * The unit of a machine that the carrier brings back on behalf of the agent. The carrier is the program that starts it.
 * It ends once the guest has been told to run, and leaves the VMM behind as the unit's main process.
 */
import { Variant } from './bus-message.ts';
import {
  type MachineUnit,
  noLimit,
  onBus,
  startTransient,
  unitNamed,
  unitProperties,
} from './machine-unit.ts';

export interface ResumedUnit extends MachineUnit {
  /** The carrier's program. */
  readonly carrier: string;
  /** Where the carrier works. */
  readonly carrierDirectory: string;
  /** Whether the unit is beside another one of the machine, whose VMM it replaces; which of the two it is. */
  readonly beside?: { readonly second: boolean } | undefined;
}

/** The properties of such a unit (org.freedesktop.systemd1(5)), by their names. */
export function resumedProperties(unit: ResumedUnit): Readonly<Record<string, Variant>> {
  const { beside, carrier, carrierDirectory, directory } = unit;
  // These the carrier sets for the VMM, as the machine's resume program says.
  const { LimitMEMLOCK: _, LimitCORE: __, UMask: ___, ...own } = unitProperties(unit);
  // The directory is the other one's still: the end of this one, if it fails, is not to remove it.
  const { RuntimeDirectory: ____, RuntimeDirectoryMode: _____, ...shared } = own;
  const properties = beside === undefined ? own : shared;
  const words = [carrier, 'resume', carrierDirectory];
  return {
    ...properties,
    // A program that ends and leaves a process behind: that is the VMM, by the number in the file.
    Type: new Variant('s', 'forking'),
    PIDFile: new Variant('s', `${carrierDirectory}/0.pid`),
    // As root, in spite of the unit's user, whose directories are below /run: the carrier makes the VMM that user's.
    ExecStartEx: new Variant('a(sasas)', [[carrier, words, ['privileged', 'no-env-expand']]]),
    // Nobody depends on it before the VMM stands there.
    WorkingDirectory: new Variant('s', `-${directory}`),
    // The carrier limits each of its waits, and a large state takes its time.
    TimeoutStartUSec: new Variant('t', noLimit),
  };
}

/**
 * Has the carrier bring a machine back, and waits until it has ended, however long that takes.
 *
 * @param socket the service manager's, where it is not the usual one
 * @throws Error in the service manager's words; if it ends the connection; or that the carrier ended with a failure
 */
export async function resumeInUnit(unit: ResumedUnit, socket?: string): Promise<void> {
  await onBus(socket, (bus) =>
    startTransient(bus, unitNamed(unit.name, unit.beside?.second ?? false), resumedProperties(unit)),
  );
}

/** A row of `ListJobs`: number, unit, kind, state, and the paths of job and unit. */
const [unitAt, jobAt] = [1, 4];

/**
 * Waits until the service manager has nothing to do for a machine's unit, however long that takes.
 *
 * @param second as for `unitNamed`
 * @throws Error in the service manager's words; if it ends the connection
 */
export async function unitSettled(name: string, socket?: string, second = false): Promise<void> {
  await onBus(socket, async (bus) => {
    const [jobs] = await bus.call('ListJobs', '', []);
    const rows = Array.isArray(jobs) ? jobs : [];
    const own = rows.find((row) => Array.isArray(row) && row[unitAt] === unitNamed(name, second));
    if (Array.isArray(own)) await bus.ended(String(own[jobAt]));
  });
}
