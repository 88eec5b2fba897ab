// SPDX-License-Identifier: Apache-2.0
/** The checks of what a guest prints, against logs with a fault in them. */
import { describe, expect, it } from 'vitest';
import { checkGuest, expectedSums, type GuestReport, readGuestLog, unharmedReport } from './guest-lines.ts';

// What a bare guest really printed. The later sums further down are the C code's.
const printedByGuest = `SeaBIOS (version 1.17.0)

guest tag=b1 memory=4194304 slice=65536 seed=00000abc\r
count=0 boot=423000 sum=f55efff4 ok\r
count=1 boot=867900 sum=8ed2a355 ok\r
count=2 boot=52087370 sum=8586bd56 ok\r
count=3 boot=300839660 sum=6a8bd0bf ok\r
count=4 boot=550935360 sum=20ec4411 ok\r
`;

const check = (text: string): GuestReport => checkGuest(readGuestLog(text));

describe("a guest's log", () => {
  it('is read past what its firmware said', () => {
    const log = readGuestLog(`${printedByGuest}count=5 boot=8009`);
    expect(log.starts).toEqual([{ tag: 'b1', memory: 4 << 20, slice: 64 << 10, seed: 0xabc }]);
    expect(log.lines.length).toBe(5);
    expect(log.lines.at(-1)).toEqual({
      count: 4,
      bootNs: 550_935_360,
      sum: 0x20ec4411,
      shared: null,
      right: true,
    });
    expect(log.strange).toEqual([]);
  });

  it('of a guest that is well has nothing wrong', () => {
    expect(check(printedByGuest)).toMatchObject({
      ...unharmedReport,
      lines: 5,
      lastCount: 4,
      largestGapNs: 250_095_700,
      largestGapAt: 4,
    });
  });

  it('has the sums of the C code in later passes too', () => {
    const terms = { tag: '', memory: 4 << 20, slice: 64 << 10, seed: 0xabc };
    const sums = expectedSums(terms, 200);
    expect([63, 64, 65, 128, 200].map((count) => sums[count]?.toString(16))).toEqual([
      'd2e2c5ac',
      'aeea9ea9',
      '41aaa38f',
      'c78b95cd',
      '83364b94',
    ]);
  });

  it.each([
    { what: 'a missing count', from: /count=2 [^\n]*\n/, to: '', wrong: { missing: [2] } },
    {
      what: 'a repeated count',
      from: /count=3 [^\n]*/,
      to: 'count=2 boot=3 sum=8586bd56 ok',
      wrong: { repeated: [2] },
    },
    { what: 'a verdict', from: '8586bd56 ok', to: '8586bd56 BAD', wrong: { bad: [2] } },
    { what: 'a wrong sum', from: '8586bd56', to: '8586bd57', wrong: { wrongSum: [2] } },
    {
      what: 'a clock that goes back',
      from: 'boot=300839660',
      to: 'boot=52087370',
      wrong: { clockBack: [3] },
    },
  ])('shows $what', ({ from, to, wrong }) => {
    expect(check(printedByGuest.replace(from, to))).toMatchObject(wrong);
  });

  it('shows a second start, and what is no line', () => {
    const report = check(`${printedByGuest}panic: at the disco\n${printedByGuest}`);
    expect(report).toMatchObject({ starts: 2, repeated: [0, 1, 2, 3, 4], clockBack: [0] });
    expect(report.strange).toEqual(['panic: at the disco', 'SeaBIOS (version 1.17.0)']);
  });

  it('shows shared memory that went back', () => {
    const shared = printedByGuest.replace(/ ok/g, ' shared=7 ok');
    expect(check(shared)).toMatchObject(unharmedReport);
    expect(check(shared.replace('bd56 shared=7', 'bd56 shared=6'))).toMatchObject({ sharedBack: [2] });
  });

  it('without any count is an error that says what there was', () => {
    expect(() => check('')).toThrow('it is empty');
    expect(() => check('guest tag= memory=4 slice=4 seed=00000000\nbare: no\n')).toThrow('bare: no');
  });
});
