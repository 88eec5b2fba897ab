// SPDX-License-Identifier: Apache-2.0
//
// Counting. Every test counts as one, and every check that is no test (lint, one workspace's types)
// counts as one too. A test file that could not even be loaded has no tests in vitest's report; it
// counts as one failure, and so does a run that failed for no reason that is in its report.

import { relative } from 'node:path';

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** Tests that were not run because they say so themselves. */
  readonly skipped: number;
  /** What failed, one name each. */
  readonly failures: readonly string[];
}

export const NOTHING: Tally = { passed: 0, failed: 0, skipped: 0, failures: [] };

/** The part of vitest's JSON report that is read here. */
export interface VitestReport {
  readonly success: boolean;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
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
    }),
    NOTHING,
  );
}

/** The tally of one check that is no test. */
export function ofCheck(name: string, ok: boolean): Tally {
  return ok ? { ...NOTHING, passed: 1 } : { ...NOTHING, failed: 1, failures: [name] };
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
      if (test.status === 'passed') tallies.push({ ...NOTHING, passed: 1 });
      else if (test.status === 'failed') tallies.push(ofCheck(`${name} › ${test.fullName}`, false));
      else tallies.push({ ...NOTHING, skipped: 1 });
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
