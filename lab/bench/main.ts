// SPDX-License-Identifier: Apache-2.0
/**
 * The benchmarks' command line. The report goes to standard output, as one JSON object if that is asked for, and
 * everything else to standard error.
 */
import { Command, InvalidArgumentError } from 'commander';
import { progressLine } from '../src/progress-line.ts';
import { measureMany } from './blackout/many.ts';
import { manyReport, manyTable } from './blackout/many-report.ts';
import { measureBlackout } from './blackout/measure.ts';
import { measureMemory, memoryLoads, targetLoads } from './blackout/memory.ts';
import { memoryReport, memoryTable } from './blackout/memory-report.ts';
import { measureNetwork } from './blackout/network.ts';
import { networkReport, networkTable } from './blackout/network-report.ts';
import { allLoads, quickLoads } from './blackout/parts.ts';
import { blackoutReport, blackoutTable } from './blackout/report.ts';
import { measureDescriptors } from './descriptors/measure.ts';
import { descriptorsReport, descriptorsTable } from './descriptors/report.ts';
import { measureIdle } from './idle/measure.ts';
import { idleReport, idleTable } from './idle/report.ts';

const onProgress = progressLine(process.stderr);

function print<Report>(report: Report, json: boolean | undefined, asTable: (report: Report) => string): void {
  process.stdout.write(`${json ? JSON.stringify(report) : asTable(report)}\n`);
}

/** Of updates, or of machines. */
function countFromArgument(text: string): number {
  const count = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (count >= 1) return count;
  throw new InvalidArgumentError('expected a whole number from 1 to 99.');
}

interface BlackoutOptions {
  readonly quick?: boolean;
  readonly machines?: number;
  readonly memory?: boolean;
  readonly network?: boolean;
  readonly runs: number;
  readonly json?: boolean;
}

const bench = new Command('bench')
  .description('Measures in a lab host of its own what a live update costs')
  .showHelpAfterError();

bench
  .command('blackout')
  .description('how long machines stand still, part by part, beside the least that it could be')
  .option('--quick', 'one machine of 64 MiB only; with --memory, only what has a target')
  .option('--memory', '64 MiB to 8 GiB, in small and in huge pages, without the floor')
  .option(
    '--machines <number>',
    'so many machines, in turn and all at once, without the floor',
    countFromArgument,
  )
  .option('--network', 'how long a guest is away for somebody who pings it, without the floor')
  .option('--runs <number>', 'updates of each kind, of which the medians are shown', countFromArgument, 3)
  .option('--json', 'one JSON object on standard output')
  .action(async ({ quick, machines, memory, network, runs, json }: BlackoutOptions) => {
    if (machines !== undefined) {
      print(manyReport(await measureMany(machines, runs, onProgress)), json, manyTable);
      return;
    }
    if (network) {
      print(networkReport(await measureNetwork(runs, onProgress)), json, networkTable);
      return;
    }
    if (memory) {
      const measured = await measureMemory(quick ? targetLoads : memoryLoads, runs, onProgress);
      print(memoryReport(measured), json, memoryTable);
      return;
    }
    const measured = await measureBlackout(quick ? quickLoads : allLoads, runs, onProgress);
    print(blackoutReport(measured), json, blackoutTable);
  });

bench
  .command('descriptors')
  .description('preserving and retrieving many descriptors through the agent, through the addon and from C')
  .option('--json', 'one JSON object on standard output')
  .action(async ({ json }: { json?: boolean }) => {
    const { kernel, rows, missing } = await measureDescriptors(onProgress);
    print(descriptorsReport(kernel, rows, missing), json, descriptorsTable);
  });

bench
  .command('idle')
  .description('memory and wake-ups of the agent while it does nothing')
  .option('--json', 'one JSON object on standard output')
  .action(async ({ json }: { json?: boolean }) => {
    print(idleReport(await measureIdle(onProgress)), json, idleTable);
  });

await bench.parseAsync().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
