// SPDX-License-Identifier: Apache-2.0
/**
 * The commands behind the npm scripts. Each names the set-up steps it needs and does its work after them. npm packages
 * may be missing when this starts. So nothing here is imported from a package until set-up is done: every command loads
 * its code when it runs.
 */

import { measures } from './bench-arguments.ts';
import { installsAgent } from './lab-arguments.ts';
import { type Need, setUp } from './setup/needs.ts';
import { startArguments } from './start/options.ts';

interface Command {
  /** What has to be there, given the arguments. */
  needs(args: readonly string[]): readonly Need[];
  /** Does the work; returns the exit status. */
  run(args: readonly string[]): Promise<number>;
}

const npmCommands: Readonly<Record<string, Command>> = {
  start: {
    needs: (args) => {
      const { terminal, help } = startArguments(args);
      if (help) return [];
      return terminal ? ['image'] : ['image', 'pty', 'electron', 'desktop'];
    },
    run: async (args) => (await import('./start/command.ts')).start(args),
  },
  test: {
    needs: () => ['packages'],
    run: async (args) => (await import('./test/command.ts')).test(args),
  },
  setup: {
    needs: () => ['pty', 'electron', 'desktop', 'image', 'trixie image'],
    run: async () => 0,
  },
  lab: {
    needs: (args) => (installsAgent(args) ? ['agent package'] : ['addon']),
    run: async (args) => (await import('./lab-command.ts')).lab(args),
  },
  bench: {
    needs: (args) => (measures(args) ? ['image'] : ['packages']),
    run: async (args) => (await import('./bench-command.ts')).bench(args),
  },
  agent: {
    needs: () => ['addon'],
    run: async (args) => (await import('./workspace-command.ts')).runWorkspace('agent/src/main.ts', args),
  },
  generate: {
    needs: () => ['packages'],
    run: async (args) =>
      (await import('./workspace-command.ts')).runWorkspace('agent/generator/generate.ts', args),
  },
  'package-agent': {
    needs: () => ['addon'],
    run: async () => {
      const { packageAgent } = await import('./package-agent.ts');
      console.log(await packageAgent());
      return 0;
    },
  },
  'package-console': {
    needs: () => ['addon', 'pty', 'desktop'],
    run: async (args) => (await import('./package-console.ts')).packageConsole(args),
  },
};

const [name = '', ...args] = process.argv.slice(2);
const command = npmCommands[name];
try {
  if (command === undefined) {
    throw new Error(`unknown command "${name}", expected one of ${Object.keys(npmCommands).join(', ')}`);
  }
  await setUp(command.needs(args));
  process.exitCode = await command.run(args);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
