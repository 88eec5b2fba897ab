// SPDX-License-Identifier: Apache-2.0
/**
 * `npm test`: every stage is run, whatever became of the ones before it, so that one run shows all there is to
 * mend. What took longest is listed at the end, then the failures once more, then the time of each stage. The
 * last line is the count.
 */

import { formatElapsed } from '../../bootstrap/terminal.mjs';
import { readTestArguments, type StageName, type TestRun } from '../../bootstrap/test-arguments.mjs';
import { setUp } from '../setup/needs.ts';
import { testStages, unitTests } from './stages.ts';
import {
  exitStatus,
  ofCheck,
  type StageTime,
  slowestLines,
  stageTimesLine,
  sum,
  summaryLine,
  type Tally,
} from './tally.ts';
import { type Selection, watchVitest } from './vitest.ts';

const slowestShown = 10;

async function runStage(name: StageName, selection: Selection): Promise<Tally> {
  const stage = testStages[name];
  try {
    await setUp(stage.needs(selection.files));
  } catch (error) {
    console.log(error instanceof Error ? error.message : error);
    return ofCheck(`${name}: set-up`, false);
  }
  try {
    return await stage.run(selection);
  } catch (error) {
    console.log(error instanceof Error ? error.message : error);
    return ofCheck(`${name}: could not be run`, false);
  }
}

async function runStages({ stages, namePattern }: TestRun): Promise<number> {
  const tallies: Tally[] = [];
  const times: StageTime[] = [];
  for (const [index, { name, files }] of stages.entries()) {
    const began = performance.now();
    console.log(`\n[${index + 1}/${stages.length}] ${name}`);
    const tally = await runStage(name, { files, namePattern });
    const milliseconds = performance.now() - began;
    console.log(
      `[${index + 1}/${stages.length}] ${name}: ${summaryLine(tally)} in ${formatElapsed(milliseconds)}`,
    );
    tallies.push(tally);
    times.push({ name, milliseconds });
  }
  const total = sum(tallies);
  console.log(['', ...slowestLines(total, slowestShown)].join('\n'));
  if (total.failed > 0) console.log('Failed:');
  for (const failure of total.failures) console.log(`  ✗ ${failure}`);
  if (total.skipped > 0) console.log(`${total.skipped} skipped`);
  console.log(stageTimesLine(times));
  console.log(summaryLine(total));
  return exitStatus(total);
}

/**
 * Runs the tests.
 *
 * @param args stages, test files, `--watch`, `-t NAME`; none means all stages
 * @returns the exit status: 0 if something passed and nothing failed
 * @throws RangeError for a word that is none of these
 */
export async function test(args: readonly string[]): Promise<number> {
  const run = readTestArguments(args);
  if (!run.watch) return runStages(run);
  const files = run.stages.flatMap((chosen) => chosen.files);
  await setUp(testStages.unit.needs(files));
  return watchVitest(unitTests, { files, namePattern: run.namePattern });
}
