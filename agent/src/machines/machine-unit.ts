// SPDX-License-Identifier: Apache-2.0
/**
 * A machine's VMM as a service of its own, so that it outlives the agent and has none of the agent's confinement:
 * process 1 makes the process, not the agent, whose mount namespace, system call filter and capabilities a child
 * would inherit. The service manager is asked by its own program over its private socket, which is there before
 * D-Bus is and after it is gone.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

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
}

/**
 * Runs a program to its end.
 *
 * @returns what it wrote to standard output
 * @throws Error with what it wrote to standard error
 */
export type RunCommand = (program: string, words: readonly string[]) => Promise<string>;

const limitMs = 90_000;

const runProgram: RunCommand = (program, words) =>
  new Promise((resolve, reject) => {
    execFile(program, [...words], { timeout: limitMs }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(stderr.trim() || error.message));
    });
  });

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
export const unitOf = (name: string): string => `luo-machine-${escaped(name)}.service`;

/** Below `/run` and below `/var/log`. */
const directoryOf = (name: string): string => `luo-agent/machines/${escaped(name)}`;

/**
 * Directories that belong to a machine's user while it runs: for its sockets, gone with its unit; and for its
 * logs, which stay, and are made only for a machine whose words name something in there.
 */
export function machineDirectories(name: string): { runtime: string; logs: string } {
  return { runtime: `/run/${directoryOf(name)}`, logs: `/var/log/${directoryOf(name)}` };
}

/** Specifiers are resolved in properties that name paths (systemd.unit(5)). */
const literal = (text: string): string => text.replaceAll('%', '%%');

/** One word of a property that is a list, with quotes and a colon's meaning taken away (`OpenFile=`). */
function openFile({ path, name }: MachineUnit['openFiles'][number]): string {
  return `${path.replace(/[\\:"']/g, (found) => `\\x${found.charCodeAt(0).toString(16)}`)}:${name}`;
}

/** The words of `systemd-run` that start a machine. */
export function startWords(unit: MachineUnit): string[] {
  const directory = directoryOf(unit.name);
  const hasLogs = unit.words.some((word) => word.includes(`/var/log/${directory}/`));
  const properties = [
    // The agent stands and falls with nothing but the way down, and so do its machines; and it may start them
    // before basic.target is there.
    ...['DefaultDependencies=no', 'Conflicts=shutdown.target', 'Before=shutdown.target'],
    'LimitMEMLOCK=infinity',
    'LimitCORE=0',
    ...[`RuntimeDirectory=${directory}`, 'RuntimeDirectoryMode=0750'],
    ...(hasLogs ? [`LogsDirectory=${directory}`, 'LogsDirectoryMode=0750'] : []),
    'UMask=0027',
    ...unit.openFiles.map((file) => `OpenFile=${openFile(file)}`),
  ];
  const { user } = unit;
  return [
    ...['--collect', '--no-ask-password', `--unit=${unitOf(unit.name)}`],
    ...['--service-type=exec', '--slice=machine.slice', '--expand-environment=no'],
    `--description=${literal(`Virtual machine ${unit.name}`)}`,
    `--working-directory=${literal(unit.directory)}`,
    ...(user === null ? [] : [`--uid=${user.uid}`, `--gid=${user.gid}`]),
    ...properties.map((property) => `--property=${property}`),
    ...['--', unit.program, ...unit.words],
  ];
}

/**
 * Starts a machine's VMM and waits until its program runs.
 *
 * @returns the unit's name
 * @throws Error in the service manager's words: there is such a unit already, the program is not there
 */
export async function startMachineUnit(
  unit: MachineUnit,
  run: RunCommand = runProgram,
): Promise<{ unit: string }> {
  await run('systemd-run', startWords(unit));
  return { unit: unitOf(unit.name) };
}

/**
 * Stops a machine's VMM and waits until it has ended. One that does not run is stopped already.
 *
 * @throws Error in the service manager's words
 */
export async function stopMachineUnit(name: string, run: RunCommand = runProgram): Promise<void> {
  try {
    await run('systemctl', ['stop', unitOf(name)]);
  } catch (error) {
    if (!/not loaded/.test(String(error))) throw error;
  }
}

/** How long to wait for the process to appear, and how often to look, in ms: nothing tells. */
const appearMs = 2000;
const lookMs = 5;

/**
 * The process of a machine that was started, as the kernel's control groups show it: asking the service manager
 * would cost another program.
 *
 * @param options `sys`: where sysfs is mounted; `waitMs`: how long to wait for one that is being started
 * @returns null if the machine does not run
 */
export async function machineUnitPid(
  name: string,
  { sys = '/sys', waitMs = appearMs }: { readonly sys?: string; readonly waitMs?: number } = {},
): Promise<number | null> {
  const group = `${sys}/fs/cgroup/machine.slice/${unitOf(name)}/cgroup.procs`;
  for (let waited = 0; ; waited += lookMs) {
    const pid = Number((await readFile(group, 'latin1').catch(() => '')).split('\n')[0]);
    if (pid > 0) return pid;
    if (waited >= waitMs) return null;
    await pause(lookMs);
  }
}
