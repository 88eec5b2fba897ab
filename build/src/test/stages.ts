// SPDX-License-Identifier: Apache-2.0
/**
 * What `npm test` consists of; their order is that of their names, in ../../bootstrap/test-arguments.mjs. A stage
 * names the set-up it needs, so that a quick stage never waits for a kernel to be compiled.
 */

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { StageName } from '../../bootstrap/test-arguments.mjs';
import { inRepository } from '../places.ts';
import type { Need } from '../setup/needs.ts';
import { type Check, runChecks } from './checks.ts';
import { sum, type Tally } from './tally.ts';
import { runVitest, type Selection } from './vitest.ts';

export interface Stage {
  /** The set-up that it needs, given the test files that are selected; none means all. */
  needs(files: readonly string[]): readonly Need[];
  /** Runs it: all of it if it consists of checks, else the tests that are selected. */
  run(selection: Selection): Promise<Tally>;
}

/** Workspaces in the order of their layers, lowest first. */
const workspaceNames = ['native-bindings', 'agent', 'lab', 'build', 'electron', 'renderer'] as const;

function ofChecks(checks: () => readonly Check[]): Stage {
  return {
    needs: () => ['packages'],
    run: async () => sum(await runChecks(checks(), availableParallelism())),
  };
}

function typeChecks(): Check[] {
  return workspaceNames.map((workspace) =>
    existsSync(inRepository(workspace, 'svelte.config.js'))
      ? {
          name: `types of ${workspace}`,
          script: 'node_modules/svelte-check/bin/svelte-check',
          args: ['--tsconfig', './tsconfig.json', '--fail-on-warnings', '--output', 'human'],
          cwd: inRepository(workspace),
        }
      : {
          name: `types of ${workspace}`,
          script: 'node_modules/typescript/bin/tsc',
          args: ['-p', `${workspace}/tsconfig.json`],
        },
  );
}

/** The configuration of the unit tests, and with LUO_SLOW=1 of the slow ones. */
export const unitTests = 'vitest.config.ts';
const labTests = 'lab/vitest.lab.config.ts';
/** Vitest leaves one processor free, of two. Many unit tests wait for processes and sockets. */
const allProcessors = [`--maxWorkers=${availableParallelism() + 1}`];

/** Tests with a window: two at a time as well, each on a display and with a profile for itself. */
function withWindows(name: 'electron' | 'conformance'): Stage {
  return {
    needs: (files) => [...hosts(files), 'pty', 'electron', 'desktop'],
    run: async (selection) =>
      runVitest(name, labTests, orAll(selection, `test/${name}/`), [], await electronEnvironment()),
  };
}

/** What is selected; all files of a stage that has its configuration in common with another, if no file is. */
function orAll(selection: Selection, all: string): Selection {
  return selection.files.length > 0 ? selection : { ...selection, files: [all] };
}

/** What hosts are made of. A few tests may make what they need themselves, and a kept host is made already. */
function hosts(files: readonly string[]): Need[] {
  if (process.env['LUO_LAB_KEEP']) return ['agent package'];
  return files.length > 0 ? ['booted host'] : ['booted host', 'booted trixie host'];
}

/** What the tests in the lab cannot find out for themselves. */
async function labEnvironment(): Promise<Record<string, string>> {
  const { packageAgent } = await import('../package-agent.ts');
  return { LUO_CONSOLE_DEB: await packageAgent() };
}

async function electronEnvironment(): Promise<Record<string, string>> {
  const { describeElectron, findElectron } = await import('../electron/runtime.ts');
  const runtime = await findElectron();
  if (runtime === undefined) throw new Error('Electron is not there, though set-up is through');
  console.log(describeElectron(runtime));
  return { ...(await labEnvironment()), ELECTRON_OVERRIDE_DIST_PATH: runtime.directory };
}

/** One of each kind, on a real kernel. */
const faultsInLab = ['test/lab/faults.lab.ts'];

/** All files at once: each waits most of the time. */
const allAtOnce = ['--maxWorkers=5', '--disable-console-intercept=true'];

/** All of them on the double, and then those on a real kernel. */
async function runFaults(selection: Selection): Promise<Tally> {
  const onDouble = await runVitest('faults', unitTests, orAll(selection, '.faults.test.ts'), allAtOnce, {
    LUO_FAULTS: '1',
  });
  if (selection.files.length > 0) return onDouble;
  const inLab = { ...selection, files: faultsInLab };
  return sum([onDouble, await runVitest('faults', labTests, inLab, [], await labEnvironment())]);
}

/** What `npm test` consists of. */
export const testStages: Readonly<Record<StageName, Stage>> = {
  lint: ofChecks(() => [
    { name: 'lint', script: 'node_modules/@biomejs/biome/bin/biome', args: ['ci', '--colors=off'] },
    { name: 'words people read', script: 'build/src/test/words/check.ts', args: [] },
  ]),
  types: ofChecks(typeChecks),
  generated: ofChecks(() => [
    { name: 'generated code is up to date', script: 'agent/generator/generate.ts', args: ['--check'] },
  ]),
  structure: ofChecks(() => [
    {
      name: 'imports point one way',
      script: 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs',
      args: ['--config', '.dependency-cruiser.mjs', ...workspaceNames],
    },
    {
      name: 'the blackout loads little',
      script: 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs',
      args: ['--config', '.dependency-cruiser.blackout.mjs', 'agent'],
    },
    { name: 'files say what they are for', script: 'build/src/test/file-headers.ts', args: [] },
    { name: 'no dead code', script: 'node_modules/knip/bin/knip.js', args: ['--no-progress'] },
  ]),
  unit: {
    needs: () => ['addon', 'pty'],
    run: (selection) => runVitest('unit', unitTests, selection, allProcessors),
  },
  slow: {
    needs: () => ['addon'],
    run: (selection) =>
      runVitest('slow', unitTests, orAll(selection, '.slow.test.ts'), [], { LUO_SLOW: '1' }),
  },
  lab: {
    needs: hosts,
    run: async (selection) =>
      runVitest('lab', labTests, orAll(selection, 'test/lab/'), [], await labEnvironment()),
  },
  electron: withWindows('electron'),
  conformance: withWindows('conformance'),
  faults: {
    needs: (files) => ['addon', ...(files.length > 0 ? [] : hosts(faultsInLab))],
    run: runFaults,
  },
};
