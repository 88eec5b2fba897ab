// SPDX-License-Identifier: Apache-2.0
//
// One run of vitest: what it prints goes to the terminal as it comes, what it counts comes from its
// JSON report.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inRepository, TOP } from '../places.ts';
import { ofVitest, type Tally, type VitestReport } from './tally.ts';

/**
 * Runs the tests of a vitest configuration.
 *
 * @param stage its name, for failures that have no test's name
 * @param config path of the configuration from the top of the repository
 * @param filters parts of test files' paths, none means all; and options of vitest
 * @param environment what is added to the environment
 */
export async function runVitest(
  stage: string,
  config: string,
  filters: readonly string[] = [],
  environment: () => Promise<Record<string, string>> = async () => ({}),
): Promise<Tally> {
  const scratch = await mkdtemp(join(tmpdir(), 'luo-test-'));
  const file = join(scratch, 'report.json');
  try {
    const args = ['run', '--config', inRepository(config), '--reporter=default', '--reporter=json'];
    const vitest = spawn(
      process.execPath,
      [inRepository('node_modules/vitest/vitest.mjs'), ...args, `--outputFile.json=${file}`, ...filters],
      {
        cwd: TOP,
        stdio: ['ignore', 'inherit', 'inherit'],
        env: { ...process.env, ...(await environment()) },
      },
    );
    const [code] = (await once(vitest, 'exit')) as [number | null];
    const text = await readFile(file, 'utf8').catch(() => undefined);
    const report = text === undefined ? undefined : (JSON.parse(text) as VitestReport);
    return ofVitest(stage, report, code, TOP);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
