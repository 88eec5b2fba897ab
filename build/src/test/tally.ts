// SPDX-License-Identifier: Apache-2.0
/**
 * Counting. Every test counts as one, and so does every check that is no test (lint, one workspace's types). A test
 * file that could not even be loaded has no tests in vitest's report; it counts as one failure. So does a run that
 * failed for a reason that is not in its report.
 */

import { relative } from 'node:path';
import { formatElapsed } from '../../bootstrap/terminal.mjs';

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** Tests that were not run because they say so themselves. */
  readonly skipped: number;
  /** What failed, one name each. */
  readonly failures: readonly string[];
  /** How long each test took. */
  readonly times: readonly TestTime[];
}

/** A test's name and how long it took, without what was prepared for it. */
export interface TestTime {
  readonly name: string;
  readonly milliseconds: number;
}

/** A stage's name and how long it took, its set-up included. */
export interface StageTime {
  readonly name: string;
  readonly milliseconds: number;
}

export const emptyTally: Tally = { passed: 0, failed: 0, skipped: 0, failures: [], times: [] };

/** The part of vitest's JSON report that is read here. */
export interface VitestReport {
  readonly success: boolean;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      /** In ms; not there for a test that was not run. */
      readonly duration?: number | undefined;
    }[];
  }[];
}

/** The sum of several tallies. */
export function sum(tallies: readonly Tally[]): Tally {
  return tallies.reduce(
    (total, tally) => ({
      passed: total.passed + tally.passed,
      failed: total.failed + tally.failed,
      skipped: total.skipped + tally.skipped,
      failures: [...total.failures, ...tally.failures],
      times: [...total.times, ...tally.times],
    }),
    emptyTally,
  );
}

/** The tally of one check that is no test. */
export function ofCheck(name: string, ok: boolean): Tally {
  return ok ? { ...emptyTally, passed: 1 } : { ...emptyTally, failed: 1, failures: [name] };
}

/**
 * The tally of one run of vitest.
 *
 * @param stage its name, for failures that have no test's name
 * @param report its JSON report; undefined if it wrote none
 * @param exitCode of vitest
 * @param top directory that file names are made relative to
 */
export function ofVitest(
  stage: string,
  report: VitestReport | undefined,
  exitCode: number | null,
  top: string,
): Tally {
  if (report === undefined)
    return ofCheck(`${stage}: vitest ended without a report (exit ${exitCode})`, false);
  const tallies: Tally[] = [];
  for (const file of report.testResults) {
    const name = relative(top, file.name);
    for (const test of file.assertionResults) {
      if (test.duration !== undefined) {
        const time = { name: `${name} › ${test.fullName}`, milliseconds: test.duration };
        tallies.push({ ...emptyTally, times: [time] });
      }
      if (test.status === 'passed') tallies.push({ ...emptyTally, passed: 1 });
      else if (test.status === 'failed') tallies.push(ofCheck(`${name} › ${test.fullName}`, false));
      else tallies.push({ ...emptyTally, skipped: 1 });
    }
    const explained = file.assertionResults.some((test) => test.status === 'failed');
    if (file.status === 'failed' && !explained) tallies.push(ofCheck(`${name} (could not be run)`, false));
  }
  const tally = sum(tallies);
  if ((exitCode !== 0 || !report.success) && tally.failed === 0) {
    return sum([tally, ofCheck(`${stage}: vitest failed outside any test (exit ${exitCode})`, false)]);
  }
  // A stage that lost its tests must not look like one that passed.
  if (tally.passed + tally.failed === 0) return sum([tally, ofCheck(`${stage}: no test was run`, false)]);
  return tally;
}

/** Nobody waits for a test that takes less, in ms. */
const noticeableMs = 500;

/**
 * The tests that took longest, for people.
 *
 * @param most how many of them
 * @returns a heading and a line each; nothing if no test took long enough to be noticed
 */
export function slowestLines({ times }: Tally, most: number): string[] {
  const noticeable = times.filter(({ milliseconds }) => milliseconds >= noticeableMs);
  const slowest = noticeable.toSorted((one, other) => other.milliseconds - one.milliseconds).slice(0, most);
  if (slowest.length === 0) return [];
  return [
    'Slowest:',
    ...slowest.map(({ name, milliseconds }) => `  ${formatElapsed(milliseconds)}  ${name}`),
  ];
}

/** How long each stage took, in one line. */
export function stageTimesLine(stages: readonly StageTime[]): string {
  return stages.map(({ name, milliseconds }) => `${name} ${formatElapsed(milliseconds)}`).join(' · ');
}

/** The last line of a test run. */
export function summaryLine(tally: Tally): string {
  return `${tally.passed} passed, ${tally.failed} failed`;
}

/**
 * The exit status of a test run: a run in which nothing passed has shown nothing.
 *
 * @returns 0 if something passed and nothing failed
 */
export function exitStatus(tally: Tally): number {
  return tally.failed === 0 && tally.passed > 0 ? 0 : 1;
}
