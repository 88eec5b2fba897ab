// SPDX-License-Identifier: Apache-2.0
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runProgram } from '../bootstrap/programs.mjs';
import { inRepository, TOP } from '../src/places.ts';
import { withPrerequisites } from '../src/setup/needs.ts';
import { chooseStages, STAGES } from '../src/test/stages.ts';

const WORKSPACES = ['native-bindings', 'agent', 'lab', 'build', 'electron', 'renderer'];

/** Paths of all files of the workspaces' own, from the top of the repository. */
function filesThatEnd(ending: string): string[] {
  const passedOver = /(?:^|\/)(?:node_modules|dist)\//;
  return WORKSPACES.flatMap((workspace) =>
    readdirSync(inRepository(workspace), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith(ending) && !passedOver.test(`${path}/`))
      .map((path) => join(workspace, path)),
  ).sort();
}

/** The files in which vitest would look for tests. */
async function listed(config: string): Promise<string[]> {
  const vitest = inRepository('node_modules/vitest/vitest.mjs');
  const args = [vitest, 'list', '--filesOnly', '--json', '--config', inRepository(config)];
  const answer = await runProgram(process.execPath, args, { cwd: TOP });
  const files: { file: string }[] = JSON.parse(answer);
  return [...new Set(files.map(({ file }) => relative(TOP, file)))].sort();
}

describe('the stages of npm test', () => {
  it('are chosen by name, in their own order, and an unknown one is refused', () => {
    expect(chooseStages([])).toBe(STAGES);
    expect(chooseStages(['unit', 'lint']).map(({ name }) => name)).toEqual(['lint', 'unit']);
    expect(() => chooseStages(['units'])).toThrow(/unknown stage "units", expected one of lint, /);
  });

  it('make ready what the unit tests load: both addons, and nothing that takes long', () => {
    const unit = STAGES.find(({ name }) => name === 'unit');
    expect(withPrerequisites(unit?.needs ?? [])).toEqual(['packages', 'addon', 'pty']);
  });

  it('leave out no unit test that there is', { timeout: 60_000 }, async () => {
    const there = filesThatEnd('.test.ts').filter((path) => !path.endsWith('.slow.test.ts'));
    expect(await listed('vitest.config.ts')).toEqual(there);
  });

  it('leave out no test in the lab or in Electron', { timeout: 60_000 }, async () => {
    const there = filesThatEnd('.lab.ts');
    expect(await listed('lab/vitest.lab.config.ts')).toEqual(there);
    for (const path of there) expect(path).toMatch(/^lab\/test\/(?:lab|electron)\//);
  });
});
