// SPDX-License-Identifier: Apache-2.0
/** The benchmarks' command line, as far as no host is needed. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { measures } from '../src/bench-arguments.ts';
import { inRepository } from '../src/places.ts';

describe('npm run bench', () => {
  it('makes a host for a measurement only', () => {
    expect(measures(['blackout'])).toBe(true);
    expect(measures(['descriptors', '--json'])).toBe(true);
    expect(measures(['blackout', '--help'])).toBe(false);
    expect(measures(['descriptors', '-h'])).toBe(false);
    expect(measures(['help', 'blackout'])).toBe(false);
    expect(measures(['everything'])).toBe(false);
    expect(measures([])).toBe(false);
  });

  it('knows every measurement that the lab has', () => {
    const help = execFileSync(process.execPath, [inRepository('lab/bench/main.ts'), '--help'], {
      encoding: 'utf8',
    });
    const commands = [...help.matchAll(/^ {2}([a-z]+) .*/gm)].map(([, name = '']) => name);
    const measurements = commands.filter((name) => name !== 'help');
    expect(measurements.sort()).toEqual(['blackout', 'descriptors', 'idle']);
    for (const name of measurements) expect(measures([name])).toBe(true);
  });
});
