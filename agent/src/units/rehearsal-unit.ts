// SPDX-License-Identifier: Apache-2.0
/**
 * The unit of a rehearsal: the carrier starts a machine's next VMM in it, beside the running one. Everything in the unit is
 * killed once the carrier ends, or after a limit, whether or not the agent lives. The kernel sees to it that nothing of
 * the running machine is changed. Only the rehearsal's directory can be written. Block devices can only be read, and the
 * network is another one. Memory is limited as the machine's is, yet in another slice: no limit of the machine's slice is
 * reached for it.
 *
 * It gets no directory below `/run`. The service manager removes that of a unit with the unit, and the machine's monitor is
 * in the machine's.
 */
import { createHash } from 'node:crypto';
import { controlGroupOf } from '../host/control-group.ts';
import { Variant } from './bus-message.ts';
import { ask, onBus, startTransient } from './machine-unit.ts';
import { ManagerRefusal } from './manager-bus.ts';
import { type Resources, resourceProperties, usualSlice } from './resources.ts';

/** A file that is handed over: for reading only, if anybody could be harmed otherwise. */
export interface GivenFile {
  readonly path: string;
  readonly name: string;
  readonly readOnly: boolean;
}

export interface RehearsalUnit {
  /** The machine's session. */
  readonly session: string;
  /** The carrier's program. */
  readonly carrier: string;
  /** Where the carrier works, and what alone may be written. */
  readonly directory: string;
  /** Become descriptors 3, 4, … in this order. */
  readonly files: readonly GivenFile[];
  /** A file that takes what the VMM writes. */
  readonly output: string;
  /** Null: without limits. */
  readonly resources: Resources | null;
  /** After so long everything in it is killed, in seconds. */
  readonly limitS: number;
}

/** OPENFILE_READ_ONLY (src/shared/open-file.h). */
const forReading = 1n;

const begin = 'luo-rehearsal-';

/** The unit in which a machine is rehearsed. */
const rehearsalUnitOf = (session: string): string =>
  `${begin}${createHash('sha256').update(session).digest('hex').slice(0, 16)}.service`;

/** Devices that a VMM needs and that are nobody's. */
const devices = ['/dev/kvm', '/dev/net/tun', '/dev/vhost-net'];

const text = (value: string): Variant => new Variant('s', value);
const yes = new Variant('b', true);

/** The properties of such a unit (org.freedesktop.systemd1(5)), by their names. */
export function rehearsalProperties(unit: RehearsalUnit): Readonly<Record<string, Variant>> {
  const { carrier, directory, files, output, resources, limitS } = unit;
  return {
    Description: text(`Rehearsal of ${unit.session}`),
    // Over with the carrier, and then everything else in it is killed.
    Type: text('oneshot'),
    ExecStartEx: new Variant('a(sasas)', [[carrier, [carrier, 'resume', directory], ['no-env-expand']]]),
    // The carrier says so if no guest runs, and in a rehearsal none does.
    SuccessExitStatus: new Variant('(aiai)', [[1], []]),
    KillSignal: new Variant('i', 9),
    TimeoutStartUSec: new Variant('t', BigInt(limitS) * 1_000_000n),
    TimeoutStopUSec: new Variant('t', 10_000_000n),
    CollectMode: text('inactive-or-failed'),
    DefaultDependencies: new Variant('b', false),
    Conflicts: new Variant('as', ['shutdown.target']),
    Before: new Variant('as', ['shutdown.target']),
    ...resourceProperties(resources && { ...resources, slice: usualSlice }),
    // Guests that run come first, whatever the carrier does for one that it brings back.
    CPUWeight: new Variant('t', 100n),
    OOMScoreAdjust: new Variant('i', 1000),
    LimitCORE: new Variant('t', 0n),
    StandardInput: text('null'),
    StandardOutputFile: text(output),
    StandardError: text('inherit'),
    OpenFile: new Variant(
      'a(sst)',
      files.map((file) => [file.path, file.name, file.readOnly ? forReading : 0n]),
    ),
    ProtectSystem: text('strict'),
    // Of the file systems that this leaves writable. Devices in there can be opened all the same.
    ReadOnlyPaths: new Variant('as', ['/dev']),
    ReadWritePaths: new Variant('as', [directory]),
    PrivateNetwork: yes,
    DevicePolicy: text('closed'),
    DeviceAllow: new Variant('a(ss)', [...devices.map((path) => [path, 'rw']), ['block-*', 'r']]),
  };
}

/**
 * Has the carrier execute a rehearsal, and waits until all of it has ended.
 *
 * @param socket the service manager's, where it is not the usual one
 * @throws Error in the service manager's words; if it ends the connection; if the limit was reached
 */
export async function runRehearsalUnit(unit: RehearsalUnit, socket?: string): Promise<void> {
  await onBus(socket, (bus) => startTransient(bus, rehearsalUnitOf(unit.session), rehearsalProperties(unit)));
}

/** Kills everything of a machine's rehearsal, and waits until that has ended. @throws Error in the service manager's words */
export const endRehearsalUnit = (session: string, socket?: string): Promise<void> =>
  stopUnit(rehearsalUnitOf(session), socket);

/** Kills all rehearsals that there are, of an agent before this one perhaps. @throws Error in the service manager's words */
export async function endAllRehearsalUnits(socket?: string): Promise<void> {
  const listed = await ask(socket, 'ListUnitsByPatterns', (bus) =>
    bus.call('ListUnitsByPatterns', 'asas', [[], [`${begin}*.service`]]),
  );
  // The first of each row is the unit's name.
  const rows = Array.isArray(listed[0]) ? listed[0] : [];
  const names = rows.flatMap((row) => (Array.isArray(row) ? [String(row[0])] : []));
  await Promise.all(names.map((name) => stopUnit(name, socket)));
}

async function stopUnit(name: string, socket: string | undefined): Promise<void> {
  try {
    await ask(socket, 'StopUnit', (bus) => bus.run('StopUnit', 'ss', [name, 'replace']));
  } catch (error) {
    const gone = error instanceof ManagerRefusal && error.code === 'org.freedesktop.systemd1.NoSuchUnit';
    if (!gone) throw error;
  }
}

/** Whether a process belongs to a rehearsal. One that has ended does not. @param proc where procfs is mounted */
export function isRehearsed(proc: string, pid: number): boolean {
  try {
    const group = controlGroupOf(proc, pid);
    return group?.slices.join('/') === usualSlice && (group.unit?.startsWith(begin) ?? false);
  } catch {
    return false;
  }
}
