// SPDX-License-Identifier: Apache-2.0
//
// `npm test`: every stage is run, whatever became of the ones before it, so that one run shows all there
// is to mend. The failures are listed again at the end, and the last line is the count.

import { formatElapsed } from '../../bootstrap/terminal.mjs';
import { setUp } from '../setup/needs.ts';
import { chooseStages, type Stage } from './stages.ts';
import { exitStatus, ofCheck, sum, summaryLine, type Tally } from './tally.ts';

async function runStage(stage: Stage): Promise<Tally> {
  try {
    await setUp(stage.needs);
  } catch (error) {
    console.log(error instanceof Error ? error.message : error);
    return ofCheck(`${stage.name}: set-up`, false);
  }
  try {
    return await stage.run();
  } catch (error) {
    console.log(error instanceof Error ? error.message : error);
    return ofCheck(`${stage.name}: could not be run`, false);
  }
}

/**
 * Runs the tests.
 *
 * @param args names of stages; none means all
 * @returns the exit status: 0 if something passed and nothing failed
 */
export async function test(args: readonly string[]): Promise<number> {
  const stages = chooseStages(args);
  const tallies: Tally[] = [];
  for (const [index, stage] of stages.entries()) {
    const began = performance.now();
    console.log(`\n[${index + 1}/${stages.length}] ${stage.name}`);
    const tally = await runStage(stage);
    const elapsed = formatElapsed(performance.now() - began);
    console.log(`[${index + 1}/${stages.length}] ${stage.name}: ${summaryLine(tally)} in ${elapsed}`);
    tallies.push(tally);
  }
  const total = sum(tallies);
  console.log('');
  if (total.failed > 0) console.log('Failed:');
  for (const failure of total.failures) console.log(`  ✗ ${failure}`);
  if (total.skipped > 0) console.log(`${total.skipped} skipped`);
  console.log(summaryLine(total));
  return exitStatus(total);
}
