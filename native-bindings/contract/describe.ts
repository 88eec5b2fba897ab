// SPDX-License-Identifier: Apache-2.0
/** The contract as vitest tests, for implementations that run on the machine the tests run on. */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { acrossCases } from './across.ts';
import { beforeCases } from './cases.ts';
import type { ContractCase, Harness } from './harness.ts';
import { prepare } from './prepared.ts';

export interface KexecHarness extends Harness, Disposable {
  /** Goes over into the next kernel. */
  kexec(): void;
}

function declare(cases: readonly ContractCase[], run: (each: ContractCase) => Promise<void>): void {
  for (const each of cases) {
    if (each.kernelOnly === undefined) it(each.name, () => run(each));
    else it.skip(`${each.name} (kernel only: ${each.kernelOnly})`, () => {});
  }
}

/**
 * Holds an implementation to the contract.
 *
 * @param name what is held to it
 * @param makeHarness a fresh one for each case of the first part, and one for the whole second part
 */
export function describeContract(name: string, makeHarness: () => KexecHarness): void {
  describe(`contract: ${name}`, () => {
    describe('before a kexec', () => {
      declare(beforeCases, async (each) => {
        using harness = makeHarness();
        await each.run(harness);
      });
    });

    describe('across a kexec', () => {
      const harness = makeHarness();
      beforeAll(async () => {
        const held = await prepare(harness);
        harness.kexec();
        for (const descriptor of held) descriptor.close();
      });
      afterAll(() => harness[Symbol.dispose]());
      declare(acrossCases(), (each) => each.run(harness));
    });
  });
}
