// SPDX-License-Identifier: Apache-2.0
/** Counting tests: no way to fail that looks like success, and what is printed at the end. */
import { describe, expect, it } from 'vitest';
import {
  emptyTally,
  exitStatus,
  ofCheck,
  ofVitest,
  slowestLines,
  stageTimesLine,
  sum,
  summaryLine,
} from '../src/test/tally.ts';

const file = (name: string, status: string, tests: [string, string][]) => ({
  name: `/top/${name}`,
  status,
  assertionResults: tests.map(([fullName, state]) => ({ fullName, status: state })),
});

describe('ofVitest', () => {
  it('counts tests and names those that failed by file', () => {
    const report = {
      success: false,
      testResults: [
        file('a.test.ts', 'passed', [
          ['one', 'passed'],
          ['two', 'pending'],
        ]),
        file('b.test.ts', 'failed', [
          ['three', 'failed'],
          ['four', 'passed'],
        ]),
      ],
    };
    expect(ofVitest('unit', report, 1, '/top')).toEqual({
      passed: 2,
      failed: 1,
      skipped: 1,
      failures: ['b.test.ts › three'],
      times: [],
    });
  });

  it('counts a file that could not be loaded as one failure', () => {
    const report = { success: false, testResults: [file('broken.test.ts', 'failed', [])] };
    expect(ofVitest('unit', report, 1, '/top').failures).toEqual(['broken.test.ts (could not be run)']);
  });

  it('counts a failure outside any test, and only if nothing else explains the exit status', () => {
    const report = { success: true, testResults: [file('a.test.ts', 'passed', [['one', 'passed']])] };
    expect(ofVitest('unit', report, 1, '/top')).toMatchObject({ passed: 1, failed: 1 });
    expect(ofVitest('unit', report, 0, '/top')).toMatchObject({ passed: 1, failed: 0 });
  });

  it('is a failure when no test was run, though vitest was content', () => {
    const failures = ['unit: no test was run'];
    expect(ofVitest('unit', { success: true, testResults: [] }, 0, '/top')).toMatchObject({ failures });
    const skipped = { success: true, testResults: [file('a.test.ts', 'passed', [['one', 'pending']])] };
    expect(ofVitest('unit', skipped, 0, '/top')).toMatchObject({
      passed: 0,
      failed: 1,
      skipped: 1,
      failures,
    });
  });

  it('is a failure without a report, however vitest ended', () => {
    expect(ofVitest('unit', undefined, 0, '/top')).toMatchObject({ passed: 0, failed: 1 });
  });
});

describe('the end of a run', () => {
  it('says what took longest, and how long each stage took', () => {
    const assertionResults = [
      { fullName: 'quick', status: 'passed', duration: 12 },
      { fullName: 'slow', status: 'failed', duration: 83_000 },
      { fullName: 'fast', status: 'passed', duration: 700 },
      { fullName: 'not run', status: 'pending' },
      { fullName: 'middling', status: 'passed', duration: 1500 },
    ];
    const report = {
      success: false,
      testResults: [{ name: '/top/a.test.ts', status: 'failed', assertionResults }],
    };
    expect(slowestLines(ofVitest('unit', report, 1, '/top'), 3)).toEqual([
      'Slowest:',
      '  1 min 23 s  a.test.ts › slow',
      '  1.5 s  a.test.ts › middling',
      '  0.7 s  a.test.ts › fast',
    ]);
    expect(slowestLines(ofVitest('unit', report, 1, '/top'), 1)).toHaveLength(2);
    expect(slowestLines(ofCheck('lint', true), 2)).toEqual([]);
    const stages = [
      { name: 'lint', milliseconds: 1040 },
      { name: 'types', milliseconds: 31_200 },
    ];
    expect(stageTimesLine(stages)).toBe('lint 1.0 s · types 31 s');
  });

  it('is the sum of tests and checks', () => {
    const total = sum([
      ofCheck('lint', true),
      ofCheck('types', false),
      { ...emptyTally, passed: 7, skipped: 2 },
    ]);
    expect(summaryLine(total)).toBe('8 passed, 1 failed');
    expect(exitStatus(total)).toBe(1);
  });

  it('is a failure when nothing was run', () => {
    expect(exitStatus(emptyTally)).toBe(1);
    expect(exitStatus(ofCheck('lint', true))).toBe(0);
  });
});
