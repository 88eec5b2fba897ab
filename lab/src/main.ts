// SPDX-License-Identifier: Apache-2.0
/**
 * The lab's command line. Results go to standard output, progress and errors to standard error. The exit status is 0
 * only when the command has done what was asked.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { shellWord } from './access.ts';
import { exists } from './cache.ts';
import { LabHost } from './host.ts';
import { allSuites, buildImage, parseSuite, type Suite } from './image.ts';
import { progressLine } from './progress-line.ts';
import { pushAgent } from './push.ts';
import { attachConsole, follow } from './serial-console.ts';
import { hostFiles, hostNames, readSettings } from './settings.ts';
import { defaultName, findHost, startHost } from './start.ts';

interface HostOption {
  readonly name: string;
}
interface ImageOption {
  readonly suite?: Suite;
  readonly deb?: string;
}

const hostPrefix = 'host:';
const onProgress = progressLine(process.stderr);
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const lab = new Command('lab')
  .description('A disposable hypervisor host in QEMU, with a kernel that can live update')
  .showHelpAfterError()
  .enablePositionalOptions();

function hostCommand(usage: string, description: string): Command {
  return lab.command(usage).description(description).option('--name <name>', 'which host', defaultName);
}

function imageOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--suite <suite>', `Debian suite: ${allSuites.join(' or ')} (sid if not given)`).argParser(
        suite,
      ),
    )
    .addOption(debOption());
}

function debOption(): Option {
  return new Option('--deb <path>', "the agent's package to install").env('LUO_CONSOLE_DEB');
}

imageOptions(
  lab.command('build').description('Build the kernels and the root image, as far as they are not there'),
)
  .option('--refresh', 'fetch the newest packages and kernel source first')
  .action(async (options: ImageOption & { refresh?: boolean }) => {
    const image = await buildImage({ ...options, onProgress });
    say(`kernels  ${image.kernels.a.release}, ${image.kernels.b.release}`);
    say(`image    ${image.path}`);
  });

imageOptions(hostCommand('up', 'Boot a host, created if it does not exist, and wait until it answers'))
  .option('--memory <size>', 'such as 2G or 1536M (2G if not given)')
  .option('--kernel <path>', "a bzImage to boot instead of the lab's own")
  .action(async (options: HostOption & ImageOption & { memory?: string; kernel?: string }) => {
    const host = await startHost({ ...options, onProgress });
    const boot = await host.boot();
    say(`${host.name} is up: Linux ${boot.kernel}, agent ${boot.agent}`);
    say(`as root      ssh -F ${shellWord(host.sshConfig)} ${host.sshAlias}`);
    say(`as operator  ssh -F ${shellWord(host.sshConfig)} -l operator ${host.sshAlias}`);
    say(`in the app   address ssh://operator@${host.sshAlias}, ssh configuration ${host.sshConfig}`);
    say(`console      npm run lab -- console --name ${host.name}`);
  });

hostCommand('push', "Install this source tree's agent in a host that runs; its sessions and machines live on")
  .addOption(debOption())
  .action(async ({ name, deb }: HostOption & ImageOption) => {
    const host = await findHost(name);
    if (deb === undefined) throw new Error('push: no package, expected --deb PATH');
    const installed = await pushAgent(host, deb, onProgress);
    say(installed ? `${name} has this agent, and it answers` : `${name} had this agent already`);
  });

hostCommand('sh', 'Run a command as root in a host; without one, a shell')
  .option('--user <user>', 'root, operator or viewer', 'root')
  .argument('[command...]', 'one argument is a line for the shell, several are words')
  .passThroughOptions()
  .action(async (words: string[], options: HostOption & { user: string }) => {
    const host = await findHost(options.name);
    const line = words.length === 1 ? words : words.map(shellWord);
    const terminal = words.length === 0 ? ['-t'] : [];
    const access = await host.connection(options.user);
    process.exitCode = await inherit('ssh', [...access, ...terminal, host.sshAlias, '--', ...line]);
  });

hostCommand('cp', `Copy files into a host (FILE… ${hostPrefix}DIR) or out of it (${hostPrefix}FILE… DIR)`)
  .argument('<path...>')
  .action(async (paths: string[], options: HostOption) => {
    const host = await findHost(options.name);
    await copy(host, paths.slice(0, -1), paths.at(-1) ?? '');
  });

hostCommand('console', 'The serial console, with what it said before; Ctrl-] leaves').action(
  async ({ name }: HostOption) => {
    await attachConsole(await findHost(name), (text) => process.stderr.write(`\r\n[lab: ${text}]\r\n`));
  },
);

hostCommand('log', 'What the serial console has said')
  .option('-f, --follow', 'go on as it is added to')
  .action(async ({ name, follow: on }: HostOption & { follow?: boolean }) => {
    const host = await findHost(name);
    const stop = new AbortController();
    const all = await host.serialPosition();
    if (!on) stop.abort();
    await follow(host.serialLog, stop.signal, all).catch((error: unknown) => {
      if (!stop.signal.aborted) throw error;
    });
  });

hostCommand('power-cut', 'End a host as if its plug were pulled; `up` boots it from the same disk').action(
  async ({ name }: HostOption) => (await findHost(name)).powerCut(),
);

hostCommand('down', 'End a host and delete its disk').action(async ({ name }: HostOption) => {
  // An interrupted build is no host yet, but its directory is there.
  const begun = await exists(hostFiles(name).directory);
  await (begun ? new LabHost(name) : await findHost(name)).down();
});

lab
  .command('list')
  .description('All hosts')
  .option('--json', 'for programs')
  .action(async ({ json }: { json?: boolean }) => {
    const hosts = await Promise.all((await hostNames()).map(describe));
    if (json) say(JSON.stringify(hosts));
    else if (hosts.length === 0) say('no hosts; `up` makes one');
    else
      for (const host of hosts)
        say(
          Object.values(host)
            .map((value) => `${value}`.padEnd(10))
            .join(' ')
            .trimEnd(),
        );
  });

async function describe(name: string): Promise<Record<string, string | number>> {
  const host = await findHost(name);
  const settings = await readSettings(name);
  const running = await host.running();
  const kernel = running
    ? await host.boot().then(
        ({ kernel }) => kernel,
        () => 'booting',
      )
    : '-';
  const { suite = '-', memoryMiB = 0, sshPort = 0 } = settings ?? {};
  return {
    name,
    state: running ? 'running' : 'off',
    suite,
    kernel,
    memory: `${memoryMiB}M`,
    sshPort,
    directory: host.directory,
  };
}

async function copy(host: LabHost, from: readonly string[], to: string): Promise<void> {
  const inside = (path: string): boolean => path.startsWith(hostPrefix);
  const strip = (path: string): string => path.slice(hostPrefix.length);
  if (from.length > 0 && inside(to) && !from.some(inside)) {
    return host.copyIn(
      from.map((path) => resolve(path)),
      strip(to) || '.',
    );
  }
  if (from.length > 0 && !inside(to) && from.every(inside)) return host.copyOut(from.map(strip), resolve(to));
  throw new RangeError(
    `cp ${[...from, to].join(' ')}: expected FILE… ${hostPrefix}DIR or ${hostPrefix}FILE… DIR`,
  );
}

async function inherit(program: string, args: readonly string[]): Promise<number> {
  const [code, signal] = await once(spawn(program, args, { stdio: 'inherit' }), 'exit');
  if (signal) throw new Error(`${program} was ended by ${signal}`);
  return code as number;
}

function suite(value: string): Suite {
  try {
    return parseSuite(value);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

try {
  await lab.parseAsync();
} catch (error) {
  process.stderr.write(`lab: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
