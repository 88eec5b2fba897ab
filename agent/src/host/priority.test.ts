// SPDX-License-Identifier: Apache-2.0
/** Coming first on the processors: every thread of this process, and none of others. */
import { readdirSync } from 'node:fs';
import { getPriority } from 'node:os';
import { describe, expect, it } from 'vitest';
import { comeFirst } from './priority.ts';

const threads = (): number[] => readdirSync('/proc/self/task').map(Number);
const nices = (): number[] => threads().map((thread) => getPriority(thread));

describe('coming first', () => {
  it.runIf(process.getuid?.() === 0)('puts every thread first, and back again', () => {
    const before = getPriority();
    expect(threads().length).toBeGreaterThan(1);
    const back = comeFirst('/proc');
    expect(new Set(nices())).toEqual(new Set([-20]));
    back();
    expect(new Set(nices())).toEqual(new Set([before]));
  });
});
