// SPDX-License-Identifier: Apache-2.0
/**
 * Tests that need a host. Two files at a time: an emulated machine waits for one of its processors most of the time, so
 * two of them finish sooner together. Limits are generous, since they only end what hangs. A host that is kept for all
 * tests runs one file at a time.
 */

import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const { LUO_LAB_KEEP: kept } = process.env;

/** Files that take longest, which begin first: the other worker would be idle at the end. */
const longest = [
  'guest-survives',
  'failing-machines',
  'carrier',
  'adopt',
  'rehearsal',
  'names',
  'initrd',
  'host',
  'former',
  'needs',
  'labels',
  'modules',
  'luocon',
  'last-writes',
  'main-job',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = longest.findIndex((name) => moduleId.endsWith(`/${name}.lab.ts`));
      return at < 0 ? longest.length : at;
    };
    return (await super.sort(files)).toSorted((one, other) => place(one) - place(other));
  }
}

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['test/**/*.lab.ts'],
    maxWorkers: kept ? 1 : 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 600_000,
    hookTimeout: 900_000,
  },
});
