// SPDX-License-Identifier: Apache-2.0
/**
 * The benchmarks' command line. The report goes to standard output, as one JSON object if that is asked for, and
 * everything else to standard error.
 */
import { Command, InvalidArgumentError } from 'commander';
import { progressLine } from '../src/progress-line.ts';
import { measureBlackout } from './blackout/measure.ts';
import { allLoads, quickLoads } from './blackout/parts.ts';
import { blackoutReport, blackoutTable } from './blackout/report.ts';
import { measureDescriptors } from './descriptors/measure.ts';
import { descriptorsReport, descriptorsTable } from './descriptors/report.ts';

const onProgress = progressLine(process.stderr);

function print<Report>(report: Report, json: boolean | undefined, asTable: (report: Report) => string): void {
  process.stdout.write(`${json ? JSON.stringify(report) : asTable(report)}\n`);
}

function countOfRuns(text: string): number {
  const runs = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (runs >= 1) return runs;
  throw new InvalidArgumentError('expected a whole number from 1 to 99.');
}

const bench = new Command('bench')
  .description('Measures in a lab host of its own what a live update costs')
  .showHelpAfterError();

bench
  .command('blackout')
  .description('how long machines stand still, part by part, beside the least that it could be')
  .option('--quick', 'one machine of 64 MiB only')
  .option('--runs <number>', 'updates of each kind, of which the medians are shown', countOfRuns, 3)
  .option('--json', 'one JSON object on standard output')
  .action(async ({ quick, runs, json }: { quick?: boolean; runs: number; json?: boolean }) => {
    const measured = await measureBlackout(quick ? quickLoads : allLoads, runs, onProgress);
    print(blackoutReport(measured), json, blackoutTable);
  });

bench
  .command('descriptors')
  .description('preserving and retrieving many descriptors through the agent, through the addon and from C')
  .option('--json', 'one JSON object on standard output')
  .action(async ({ json }: { json?: boolean }) => {
    const { kernel, rows } = await measureDescriptors(onProgress);
    print(descriptorsReport(kernel, rows), json, descriptorsTable);
  });

await bench.parseAsync().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
