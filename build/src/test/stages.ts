// SPDX-License-Identifier: Apache-2.0
//
// What `npm test` consists of, in the order in which it is run: first what fails quickly. A stage names
// the set-up it needs, so that a quick stage never waits for a kernel to be compiled.

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { inRepository } from '../places.ts';
import type { Need } from '../setup/needs.ts';
import { type Check, runChecks } from './checks.ts';
import { sum, type Tally } from './tally.ts';
import { runVitest } from './vitest.ts';

export interface Stage {
  readonly name: string;
  readonly needs: readonly Need[];
  run(): Promise<Tally>;
}

/** Workspaces in the order of their layers, lowest first. */
const WORKSPACES = ['native-bindings', 'agent', 'lab', 'build', 'electron', 'renderer'] as const;

function ofChecks(name: string, checks: () => readonly Check[]): Stage {
  return {
    name,
    needs: ['packages'],
    run: async () => sum(await runChecks(checks(), availableParallelism())),
  };
}

function typeChecks(): Check[] {
  return WORKSPACES.map((workspace) =>
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

const LAB_TESTS = 'lab/vitest.lab.config.ts';

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

/** What `npm test` consists of, in order. */
export const STAGES: readonly Stage[] = [
  ofChecks('lint', () => [
    { name: 'lint', script: 'node_modules/@biomejs/biome/bin/biome', args: ['ci', '--colors=off'] },
  ]),
  ofChecks('types', typeChecks),
  ofChecks('generated', () => [
    { name: 'generated code is up to date', script: 'agent/generator/generate.ts', args: ['--check'] },
  ]),
  ofChecks('structure', () => [
    {
      name: 'imports point one way',
      script: 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs',
      args: ['--config', '.dependency-cruiser.mjs', ...WORKSPACES],
    },
    {
      name: 'the blackout loads little',
      script: 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs',
      args: ['--config', '.dependency-cruiser.blackout.mjs', 'agent'],
    },
    { name: 'no dead code', script: 'node_modules/knip/bin/knip.js', args: ['--no-progress'] },
  ]),
  {
    name: 'unit',
    needs: ['addon', 'pty'],
    run: () => runVitest('unit', 'vitest.config.ts'),
  },
  {
    name: 'slow',
    needs: ['addon'],
    run: () =>
      runVitest('slow', 'native-bindings/vitest.config.ts', ['.slow.test.ts'], async () => ({
        LUO_SLOW: '1',
      })),
  },
  {
    name: 'lab',
    needs: ['image', 'trixie image'],
    run: () => runVitest('lab', LAB_TESTS, ['test/lab/'], labEnvironment),
  },
  {
    name: 'electron',
    needs: ['image', 'pty', 'electron', 'desktop'],
    run: () => runVitest('electron', LAB_TESTS, ['test/electron/', '--maxWorkers=1'], electronEnvironment),
  },
];

/**
 * The stages asked for.
 *
 * @param names in any order; none means all
 * @throws Error that names an unknown stage and lists the known ones
 */
export function chooseStages(names: readonly string[]): readonly Stage[] {
  for (const name of names) {
    if (!STAGES.some((stage) => stage.name === name)) {
      throw new Error(
        `unknown stage "${name}", expected one of ${STAGES.map((stage) => stage.name).join(', ')}`,
      );
    }
  }
  return names.length === 0 ? STAGES : STAGES.filter((stage) => names.includes(stage.name));
}
