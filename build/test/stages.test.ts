// SPDX-License-Identifier: Apache-2.0
/** The stages of `npm test`: each test file is run by one of them. */
import { relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runProgram } from '../bootstrap/programs.mjs';
import { stageNames } from '../bootstrap/test-arguments.mjs';
import { testFiles } from '../bootstrap/test-files.mjs';
import { inRepository, repositoryTop } from '../src/places.ts';
import { withPrerequisites } from '../src/setup/needs.ts';
import { testStages } from '../src/test/stages.ts';

const filesOf = (...stages: string[]): string[] =>
  testFiles()
    .filter(({ stage }) => stages.includes(stage))
    .map(({ path }) => path);

/** The files in which vitest would look for tests. */
async function listed(config: string, env: Record<string, string> = {}): Promise<string[]> {
  const vitest = inRepository('node_modules/vitest/vitest.mjs');
  const args = [vitest, 'list', '--filesOnly', '--json', '--config', inRepository(config)];
  const answer = await runProgram(process.execPath, args, { cwd: repositoryTop, env });
  const files: { file: string }[] = JSON.parse(answer);
  return [...new Set(files.map(({ file }) => relative(repositoryTop, file)))].sort();
}

describe('the stages of npm test', () => {
  it('are all there, and each has a name', () => {
    expect(Object.keys(testStages).sort()).toEqual([...stageNames].sort());
  });

  it('make ready what the unit tests load: both addons, and nothing that takes long', () => {
    expect(withPrerequisites(testStages.unit.needs([]))).toEqual(['packages', 'addon', 'pty']);
  });

  it('leave out no unit test that there is', { timeout: 60_000 }, async () => {
    expect(await listed('vitest.config.ts')).toEqual(filesOf('unit'));
  });

  it('leave out no slow test', { timeout: 60_000 }, async () => {
    expect(await listed('vitest.config.ts', { LUO_SLOW: '1' })).toEqual(filesOf('unit', 'slow'));
  });

  it('leave out no test of faults', { timeout: 60_000 }, async () => {
    expect(await listed('vitest.config.ts', { LUO_FAULTS: '1' })).toEqual(filesOf('unit', 'faults'));
  });

  it('leave out no test that needs a host', { timeout: 60_000 }, async () => {
    const there = filesOf('lab', 'electron', 'conformance');
    expect(await listed('lab/vitest.lab.config.ts')).toEqual(there);
    for (const path of there) expect(path).toMatch(/^lab\/test\/(?:lab|electron|conformance)\//);
  });
});
