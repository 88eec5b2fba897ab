// SPDX-License-Identifier: Apache-2.0
/** Numbers and tokens on the command line. */
import { InvalidArgumentError } from 'commander';

/** @returns a parser for whole numbers from `least` to `most` */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`Expected a whole number ${range}.`);
  };
}

/** @returns a token as the agent writes it: `0x` and lower-case hexadecimal digits */
export function token(text: string): string {
  const value = /^(?:0x[0-9a-fA-F]{1,16}|[0-9]{1,20})$/.test(text) ? BigInt(text) : -1n;
  if (value >= 0n && value < 1n << 64n) return `0x${value.toString(16)}`;
  throw new InvalidArgumentError('Expected a number below 2^64, decimal or hexadecimal with 0x.');
}
