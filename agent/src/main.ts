// SPDX-License-Identifier: Apache-2.0
/**
 * The command `luo-agent`: reads its options, starts the agent, and ends it on a signal. Ending releases
 * nothing on purpose: sessions and their files are in the service manager's descriptor store.
 */
import { writeSync } from 'node:fs';
import { native } from '@luo-console/native';
import { Command, InvalidArgumentError } from 'commander';
import { startAgent } from './agent.ts';
import { realHostPaths } from './host-paths.ts';
import { createLog } from './service/log.ts';
import { nameServiceManager } from './service/service-manager.ts';
import { agentVersion } from './version.ts';

const usualSocket = '/run/luo-agent/io.luoconsole.Agent';
const usualStateDirectory = '/var/lib/luo-agent';

function absolutePath(text: string): string {
  if (!text.startsWith('/')) throw new InvalidArgumentError('an absolute path is expected.');
  return text;
}

const command = new Command('luo-agent')
  .description(
    'Holds live update sessions on a hypervisor host, carries them through a kexec, and keeps a journal.',
  )
  .version(agentVersion, '--version')
  .option(
    '--state-directory <dir>',
    'where the journal is kept',
    absolutePath,
    process.env['STATE_DIRECTORY']?.split(':')[0] ?? usualStateDirectory,
  )
  .option(
    '--socket <path>',
    'where to listen if the service manager hands in no socket',
    absolutePath,
    usualSocket,
  )
  .parse();

// What `ps` and other processes' journals show; Node would be called MainThread.
process.title = 'luo-agent';
const { stateDirectory, socket } = command.opts<{ stateDirectory: string; socket: string }>();
const log = createLog((line) => writeSync(2, line));
const notifySocket = process.env['NOTIFY_SOCKET'];
const places = Number(process.env['FDSTORE']);

try {
  const agent = await startAgent({
    native,
    paths: realHostPaths,
    stateDirectory,
    socketPath: socket,
    log,
    ownUid: process.getuid?.() ?? 0,
    descriptorStoreLimit: Number.isInteger(places) && places > 0 ? places : null,
    serviceManager: () => nameServiceManager(notifySocket, realHostPaths.proc),
  });
  const stop = (signal: NodeJS.Signals): void => {
    log('info', 'stopping', { signal });
    agent.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log('error', 'could not stop cleanly', { problem: String(error) });
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
} catch (error) {
  log('error', 'could not start', { problem: error instanceof Error ? error.message : String(error) });
  process.exit(1);
}
