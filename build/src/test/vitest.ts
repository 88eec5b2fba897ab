// SPDX-License-Identifier: Apache-2.0
/**
 * One run of vitest: what it prints goes to the terminal as it comes, what it counts comes from its
 * JSON report.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inRepository, repositoryTop } from '../places.ts';
import { runWorkspace } from '../workspace-command.ts';
import { ofVitest, type Tally, type VitestReport } from './tally.ts';

const vitestProgram = inRepository('node_modules/vitest/vitest.mjs');

/** Which tests of a configuration are run. */
export interface Selection {
  /** Parts of the paths of test files; none means all. */
  readonly files: readonly string[];
  /** A regular expression over the full names of tests; undefined means all. */
  readonly namePattern: string | undefined;
}

function wordsFor({ files, namePattern }: Selection): string[] {
  return [...(namePattern === undefined ? [] : ['-t', namePattern]), ...files];
}

/**
 * Runs the tests of a vitest configuration.
 *
 * @param stage its name, for failures that have no test's name
 * @param config path of the configuration from the top of the repository
 * @param selection what of it is run
 * @param options of vitest
 * @param environment what is added to the environment
 */
export async function runVitest(
  stage: string,
  config: string,
  selection: Selection,
  options: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<Tally> {
  const scratch = await mkdtemp(join(tmpdir(), 'luo-test-'));
  const file = join(scratch, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const words = ['run', '--config', inRepository(config), ...reporters, ...options, ...wordsFor(selection)];
    const vitest = spawn(process.execPath, [vitestProgram, ...words], {
      cwd: repositoryTop,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...environment },
    });
    const [code] = (await once(vitest, 'exit')) as [number | null];
    const text = await readFile(file, 'utf8').catch(() => undefined);
    const report = text === undefined ? undefined : (JSON.parse(text) as VitestReport);
    return ofVitest(stage, report, code, repositoryTop);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/**
 * Runs the tests of a vitest configuration, and again those that a change concerns, until a person ends it.
 *
 * @param config path of the configuration from the top of the repository
 * @param selection what of it is run
 * @returns vitest's exit status
 */
export async function watchVitest(config: string, selection: Selection): Promise<number> {
  return runWorkspace('node_modules/vitest/vitest.mjs', [
    'watch',
    ...['--config', inRepository(config)],
    ...wordsFor(selection),
  ]);
}
