// SPDX-License-Identifier: Apache-2.0
/** What every file with tests of the carrier begins with: the carrier is compiled once, and each test's machine ends with it. */
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { CarriedMachine, type CarriedOptions, compileCarrier } from './carried.fixture.ts';

export interface CarrierTests {
  /** The compiled carrier, once the tests run. It is in a directory of its own. */
  readonly carrier: string;
  /** Makes the machine of a test. @param program that brings it back; the compiled carrier if it is not given */
  carried(options?: CarriedOptions, program?: string): CarriedMachine;
}

/** To be called once, outside of all tests. */
export function carrierTests(): CarrierTests {
  let carrier = '';
  let machine: CarriedMachine | null = null;
  beforeAll(() => {
    carrier = compileCarrier();
  });
  afterAll(() => rmSync(dirname(carrier), { recursive: true }));
  afterEach(async () => {
    await machine?.dispose();
    machine = null;
  });
  return {
    get carrier() {
      return carrier;
    },
    carried(options = {}, program = carrier) {
      machine = new CarriedMachine(program, options);
      return machine;
    },
  };
}
