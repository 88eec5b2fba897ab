// SPDX-License-Identifier: Apache-2.0
/**
 * A machine's VMM as a separate service. It outlives the agent and has none of the agent's confinement. Process 1
 * starts it, because a child of the agent would inherit its mount namespace, system call filter and capabilities.
 */
import { createHash } from 'node:crypto';
import { Variant } from './bus-message.ts';
import { ManagerBus, ManagerRefusal } from './manager-bus.ts';
import { type Resources, resourceProperties, sliceGroup, usualSlice } from './resources.ts';

/** What to start. */
export interface MachineUnit {
  /** The machine's name, which makes the unit's: two machines of one name cannot be started. */
  readonly name: string;
  readonly program: string;
  /** argv[1..]. */
  readonly words: readonly string[];
  /** Null: root. */
  readonly user: { readonly uid: number; readonly gid: number } | null;
  /** Where the process stands. */
  readonly directory: string;
  /** Become descriptors 3, 4, … in this order; `path` may be one under `/proc/PID/fd`. */
  readonly openFiles: readonly { readonly path: string; readonly name: string }[];
  /** Null: in the usual slice, without limits. */
  readonly resources: Resources | null;
}

/** What may stand in a unit's name as it is, short enough to be read (systemd.unit(5): at most 255 characters). */
const plainName = /^[a-z0-9-]{1,40}$/;

/**
 * A machine's name in a form that a unit and a directory can have: itself if it is plain, otherwise what of it is
 * and a hash, so that two names never become one.
 */
function escaped(name: string): string {
  if (plainName.test(name)) return name;
  const readable = name.replace(/[^A-Za-z0-9]+/g, '_').slice(0, 24);
  return `${readable}.${createHash('sha256').update(name).digest('hex').slice(0, 12)}`;
}

/** The unit of a machine. */
export const unitOf = (name: string): string => unitNamed(name, false);

/**
 * One of the two units of a machine. Its VMM is in the second one if it was renewed there: the one before is in the first
 * until it has ended.
 */
export const unitNamed = (name: string, second: boolean): string =>
  // No escaped name ends so.
  `luo-machine-${escaped(name)}${second ? '.second' : ''}.service`;

/** The control group of a machine's unit, as below the mount of cgroup2. @param second as for `unitNamed` */
export const machineGroup = (
  name: string,
  resources: Pick<Resources, 'slice'> | null,
  second = false,
): string => `${sliceGroup(resources?.slice ?? usualSlice)}/${unitNamed(name, second)}`;

/**
 * A machine's directory, below `/run` and below `/var/log`. One that was started while our package was called
 * luo-agent has the old directory in its words, and keeps it for as long as it runs.
 *
 * @param words its command line; empty for a machine that is started from scratch
 */
function directoryOf(name: string, words: readonly string[]): string {
  const former = `luo-agent/machines/${escaped(name)}`;
  return words.some((word) => word.includes(`/run/${former}/`))
    ? former
    : `luo-console/machines/${escaped(name)}`;
}

/**
 * Directories that belong to a machine's user while it runs: for its sockets, gone with its unit; and for its
 * logs, which stay, and are made only for a machine whose words name something in there.
 *
 * @param words the command line of a machine that runs or ran; empty if it is started from scratch
 */
export function machineDirectories(
  name: string,
  words: readonly string[] = [],
): { runtime: string; logs: string } {
  const directory = directoryOf(name, words);
  return { runtime: `/run/${directory}`, logs: `/var/log/${directory}` };
}

const text = (value: string): Variant => new Variant('s', value);
const texts = (...values: string[]): Variant => new Variant('as', values);
const number = (value: number): Variant => new Variant('u', value);

/** `infinity`, as the service manager counts limits. */
export const noLimit = 2n ** 64n - 1n;

/** The properties of a machine's unit (org.freedesktop.systemd1(5)), by their names. */
export function unitProperties(unit: MachineUnit): Readonly<Record<string, Variant>> {
  const { name, program, words, user, openFiles, resources } = unit;
  const directory = directoryOf(name, words);
  const hasLogs = words.some((word) => word.includes(`/var/log/${directory}/`));
  const files = openFiles.map((file) => [file.path, file.name, 0n]);
  return {
    Description: text(`Virtual machine ${name}`),
    Type: text('exec'),
    // No variable in its words is expanded: they are a guest's.
    ExecStartEx: new Variant('a(sasas)', [[program, [program, ...words], ['no-env-expand']]]),
    ...resourceProperties(resources),
    CollectMode: text('inactive-or-failed'),
    // Like the agent, its machines depend only on the shutdown. And the agent may start them before basic.target is
    // there.
    DefaultDependencies: new Variant('b', false),
    Conflicts: texts('shutdown.target'),
    Before: texts('shutdown.target'),
    WorkingDirectory: text(unit.directory),
    ...(user === null ? {} : { User: text(`${user.uid}`), Group: text(`${user.gid}`) }),
    // QEMU ends at once when it is told to; one that does not is of no use any more.
    TimeoutStopUSec: new Variant('t', 10_000_000n),
    LimitMEMLOCK: new Variant('t', noLimit),
    LimitCORE: new Variant('t', 0n),
    UMask: number(0o027),
    RuntimeDirectory: texts(directory),
    RuntimeDirectoryMode: number(0o750),
    ...(hasLogs ? { LogsDirectory: texts(directory), LogsDirectoryMode: number(0o750) } : {}),
    OpenFile: new Variant('a(sst)', files),
  };
}

/**
 * Asks the service manager on a connection for this alone, and waits as long as it has the connection open.
 *
 * @param socket the service manager's, where it is not the usual one
 * @throws Error in the service manager's words
 */
export async function onBus<Answer>(
  socket: string | undefined,
  question: (bus: ManagerBus) => Promise<Answer>,
): Promise<Answer> {
  using bus = ManagerBus.open(socket);
  return await question(bus);
}

/** How long the service manager may take, in ms. */
const limitMs = 90_000;

/**
 * The same, for what must not take long.
 *
 * @param member what is asked, for the words of an error
 * @throws Error in the service manager's words, or that it did not answer in time
 */
export async function ask<Answer>(
  socket: string | undefined,
  member: string,
  question: (bus: ManagerBus) => Promise<Answer>,
): Promise<Answer> {
  return await onBus(socket, async (bus) => {
    const timer = setTimeout(
      () => bus.close(new Error(`${member}: the service manager did not answer in ${limitMs} ms`)),
      limitMs,
    );
    try {
      return await question(bus);
    } finally {
      clearTimeout(timer);
    }
  });
}

/**
 * Starts a machine's VMM and waits until its program runs.
 *
 * @param socket the service manager's, where it is not the usual one
 * @returns the unit's name
 * @throws Error in the service manager's words: there is such a unit already, the program is not there
 */
export async function startMachineUnit(unit: MachineUnit, socket?: string): Promise<{ unit: string }> {
  const name = unitOf(unit.name);
  await ask(socket, 'StartTransientUnit', (bus) => startTransient(bus, name, unitProperties(unit)));
  return { unit: name };
}

/** Starts a transient unit and waits until it has. @throws Error in the service manager's words */
export async function startTransient(
  bus: ManagerBus,
  name: string,
  properties: Readonly<Record<string, Variant>>,
): Promise<void> {
  const body = [name, 'fail', Object.entries(properties), []];
  const result = await bus.run('StartTransientUnit', 'ssa(sv)a(sa(sv))', body);
  if (result !== 'done')
    throw new Error(`${name} did not start (${result}): see "journalctl --unit ${name}"`);
}

/**
 * Stops a machine's VMM and waits until it has ended. One that does not run is stopped already.
 *
 * @param second as for `unitNamed`
 * @throws Error in the service manager's words
 */
export async function stopMachineUnit(name: string, socket?: string, second = false): Promise<void> {
  try {
    await ask(socket, 'StopUnit', (bus) => bus.run('StopUnit', 'ss', [unitNamed(name, second), 'replace']));
  } catch (error) {
    const gone = error instanceof ManagerRefusal && error.code === 'org.freedesktop.systemd1.NoSuchUnit';
    if (!gone) throw error;
  }
}
