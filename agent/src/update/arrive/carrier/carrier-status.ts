// SPDX-License-Identifier: Apache-2.0
/**
 * The carrier's status: who holds the sessions, and how far each machine is. The file is replaced as a whole, so it
 * is never torn. Lines that are not known are passed over.
 */
import { join } from 'node:path';
import { readBounded } from '../../../host/read-bounded.ts';

/** The only format known here. */
const knownFormat = 1;

/** What the status calls a worker that has ended (`settle`, native-bindings/carrier/keeper.c). */
const endedWorkers: ReadonlySet<string> = new Set(['running', 'failed', 'crashed']);

const states = ['retrieving', 'working', 'done', 'failed'] as const;

export interface StatusMachine {
  /** Its number in the resume program, from 0. */
  readonly number: number;
  /** Of its VMM; null before that is started. */
  readonly pid: number | null;
  /** The name of its session. */
  readonly session: string;
  /** Whether its worker has ended. What became of the machine is told by its mark. */
  readonly through: boolean;
}

export interface CarrierStatus {
  /** Whether the format is known here. If it is not, nothing is known of machines. */
  readonly known: boolean;
  /** Null if the line is missing. */
  readonly state: (typeof states)[number] | null;
  readonly keeper: number | null;
  readonly holder: number | null;
  readonly machines: readonly StatusMachine[];
}

/** Several times what 256 machines take, in bytes. */
const mostBytes = 262_144;
/** `PID_MAX_LIMIT` of a 64-bit kernel (include/linux/threads.h). */
const highestPid = 4_194_304;
/** Machines of a resume program. */
const mostMachines = 256;

/**
 * Reads the status.
 *
 * @returns null if no carrier ran in this boot
 * @throws Error if the file is not a carrier's status, or cannot be read
 */
export function readStatus(directory: string): CarrierStatus | null {
  const path = join(directory, 'status');
  const found = readBounded(path, mostBytes);
  if (found === null) return null;
  if (!found.whole) throw new Error(`${path} has more than ${mostBytes} bytes`);
  const [first = '', ...lines] = found.text.split('\n');
  const format = /^luo-carrier (\d{1,9})$/.exec(first)?.[1];
  if (format === undefined) throw new Error(`${path} does not begin with the carrier's name and a format`);
  return parseLines(lines, Number(format) === knownFormat);
}

function parseLines(lines: readonly string[], known: boolean): CarrierStatus {
  let state: CarrierStatus['state'] = null;
  const processes: { keeper: number | null; holder: number | null } = { keeper: null, holder: null };
  const machines = new Map<number, StatusMachine>();
  const sessions = new Set<string>();
  for (const line of lines) {
    const [, word, rest = ''] = /^(\w+) (.*)$/.exec(line) ?? [];
    if (word === 'state') state = states.find((each) => each === rest) ?? state;
    if (word === 'keeper' || word === 'holder') processes[word] = pidIn(rest);
    if (word !== 'machine' || !known) continue;
    const machine = parseMachine(rest);
    if (machine === null || machines.has(machine.number) || sessions.has(machine.session)) continue;
    machines.set(machine.number, machine);
    sessions.add(machine.session);
  }
  return { known, state, ...processes, machines: [...machines.values()] };
}

function parseMachine(text: string): StatusMachine | null {
  const [, number, pid = '', worker = '', session = ''] = /^(\d{1,3}) (-|\d+) (\w+) (.+)$/.exec(text) ?? [];
  if (number === undefined || Number(number) >= mostMachines) return null;
  if (pid !== '-' && pidIn(pid) === null) return null;
  return { number: Number(number), pid: pidIn(pid), session, through: endedWorkers.has(worker) };
}

/** The number of a process other than process 1; null for anything else. */
function pidIn(text: string): number | null {
  const pid = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  return pid > 1 && pid <= highestPid ? pid : null;
}

/**
 * The number of a VMM as its process wrote it down before it became QEMU. It may be there before the status has it.
 *
 * @returns null if it has not, or the file says something else
 */
export function readPidFile(path: string): number | null {
  const found = readBounded(path, 16);
  return found?.whole === true && found.text.endsWith('\n') ? pidIn(found.text.slice(0, -1)) : null;
}
