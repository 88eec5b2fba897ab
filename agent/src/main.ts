// SPDX-License-Identifier: Apache-2.0
/**
 * The command `luo-console-agent`: reads its options, starts the agent, and ends it on a signal. An update under way is
 * aborted first, and its machines run again. Ending releases nothing on purpose: sessions and their files are in the
 * service manager's descriptor store.
 *
 * Most of the agent is imported only after the first things are done: machines wait for those.
 */
import { writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Native, native } from '@luo-console/native';
import { Ending } from './ending.ts';
import { createLog, type Log, levelNamed, levels } from './host/log.ts';
import { realHostPaths } from './host/paths.ts';
import { saidBy } from './host/said-by.ts';
import { agentSocket, stateDirectory as usualState } from './interface/places.ts';
import { type MonitorCommand, monitorCommands } from './qemu/monitor-commands.ts';
import { doFirstThings } from './update/arrive/first-things.ts';
import { agentVersion } from './version.ts';

const help = `Usage: luo-console-agent [options]

Holds live update sessions on a hypervisor host, carries them through a kexec, and keeps a journal.

Options:
  --state-directory <dir>  where the journal is kept (default: ${usualState})
  --socket <path>          where to listen if the service manager passes no socket
                           (default: ${agentSocket})
  --version                print the version
  -h, --help               print this

Environment:
  LUO_LOG                  what is logged: debug, info (the default), warning or error
  LUO_TOGETHER             how many machines are started at once after an update
                           (default: as many as there are processors)
  LUO_NEED_LIMIT           how many seconds a machine then waits for what it needs
                           (default and most: 120)`;

interface Options {
  readonly stateDirectory: string;
  readonly socket: string;
}

/** @returns undefined if a variable is not set, or is no number, which is logged: the usual one is used then */
function numberFrom(name: string, most: number, log: Log): number | undefined {
  const text = process.env[name];
  if (!text) return undefined;
  const number = /^[1-9]\d{0,2}$/.test(text) ? Number(text) : Number.NaN;
  if (number <= most) return number;
  log('warning', `${name} is no number in its bounds, the usual one is used`, {
    value: text,
    expected: `1 to ${most}`,
  });
  return undefined;
}

/** Ends the process for a command line that is not understood, as for `--help` and `--version`. */
function readOptions(): Options {
  const end = (status: number, text: string): never => {
    writeSync(status === 0 ? 1 : 2, `${text}\n`);
    process.exit(status);
  };
  const absolute = (option: string, path: string): string =>
    path.startsWith('/')
      ? path
      : end(1, `luo-console-agent: --${option} '${path}': expected an absolute path`);
  try {
    const { values } = parseArgs({
      options: {
        'state-directory': {
          type: 'string',
          default: process.env['STATE_DIRECTORY']?.split(':')[0] ?? usualState,
        },
        socket: { type: 'string', default: agentSocket },
        version: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) return end(0, help);
    if (values.version) return end(0, agentVersion);
    return {
      stateDirectory: absolute('state-directory', values['state-directory']),
      socket: absolute('socket', values.socket),
    };
  } catch (error) {
    return end(1, `luo-console-agent: ${saidBy(error)}`);
  }
}

/** Logs every command to a monitor from now on. @returns the addon with its calls logged as well */
async function tracedCalls(log: Log): Promise<Native> {
  const { tracedNative } = await import('./host/trace.ts');
  monitorCommands.subscribe((told) => {
    const { command, problem } = told as MonitorCommand;
    log('debug', 'monitor command', { command, ...(problem === null ? {} : { problem }) });
  });
  return tracedNative(native, log);
}

async function run({ stateDirectory, socket }: Options): Promise<void> {
  const wanted = levelNamed(process.env['LUO_LOG']);
  const log = createLog((line) => writeSync(2, line), wanted ?? 'info');
  const ending = new Ending({ log, exit: (status) => process.exit(status) });
  // Before anything else: a signal that nobody handles would end the start while machines are stopped.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void ending.stop(signal));
  // Machines may be waiting for this start: a word that is not understood must not end it.
  if (wanted === null)
    log('warning', 'LUO_LOG is no level, info is used', {
      value: process.env['LUO_LOG'],
      expected: levels.join(', '),
    });
  const notifySocket = process.env['NOTIFY_SOCKET'];
  const places = Number(process.env['FDSTORE']);
  const descriptorStoreLimit = Number.isInteger(places) && places > 0 ? places : null;
  try {
    const calls = wanted === 'debug' ? await tracedCalls(log) : native;
    const numbers = {
      together: numberFrom('LUO_TOGETHER', 999, log),
      needLimitS: numberFrom('LUO_NEED_LIMIT', 120, log),
    };
    const beginnings = { native: calls, paths: realHostPaths, log, descriptorStoreLimit, ...numbers };
    const serviceManager = async (): Promise<string> => {
      const { nameServiceManager } = await import('./units/manager-version.ts');
      return await nameServiceManager(notifySocket, realHostPaths.proc);
    };
    const serving = { socketPath: socket, ownUid: process.getuid?.() ?? 0, serviceManager };
    const first = await doFirstThings({
      ...beginnings,
      answerMeanwhile: async (...given) => {
        const { answerMeanwhile } = await import('./service/meanwhile.ts');
        await answerMeanwhile({ ...beginnings, ...serving }, ...given);
      },
      startWaits: (...given) => ending.startWaits(...given),
    });
    const { startAgent } = await import('./agent.ts');
    const { ShutdownLock } = await import('./units/shutdown-lock.ts');
    const agent = await startAgent({
      ...beginnings,
      ...serving,
      first,
      stateDirectory,
      shutdownLock: new ShutdownLock({ log }),
      restart: () => void ending.stop('a new version is installed'),
    });
    ending.started(agent);
  } catch (error) {
    log('error', 'could not start', { problem: saidBy(error) });
    process.exit(1);
  }
}

// What `ps` and other processes' journals show; Node would be called MainThread.
process.title = 'luo-console-agent';
// Not awaited: what is imported later may itself import from here, which would have to have ended for that.
void run(readOptions());
