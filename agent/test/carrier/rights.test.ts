// SPDX-License-Identifier: Apache-2.0
/** What a VMM may do that the carrier starts: what it could before, and no more. */
import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';
import { mostGroups } from '../../src/adoption/vmm-facts.ts';
import { carrierTests } from './carrier-tests.ts';

const tests = carrierTests();

describe.runIf(process.getuid?.() === 0)('the rights of a VMM', () => {
  const usual = { bounding: '1ffffffffff', inheritable: '0', ambient: '0', noNewPrivileges: false };
  /** Bits that every kernel here has, as procfs shows them. */
  const shown = (bits: number): string => bits.toString(16).padStart(16, '0');

  it('are those of root with all capabilities where it had them', async () => {
    const machine = tests.carried({ rights: usual });
    expect(await machine.resume()).toBe(0);
    const own = /^CapBnd:\t(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    expect(machine.report?.rights).toMatchObject({
      CapBnd: own,
      CapPrm: own,
      CapAmb: shown(0),
      NoNewPrivs: '0',
    });
    expect(machine.report?.rights).toMatchObject({ 'Max processes': '800 900 processes' });
  });

  it('of root are as few as they were, and no program that it starts gets more', async () => {
    // What it takes to reach the files of these tests, and to write in a directory of another user.
    const machine = tests.carried({
      rights: { ...usual, bounding: '40006', inheritable: '200000', noNewPrivileges: true },
    });
    expect(await machine.resume()).toBe(0);
    expect(machine.report?.rights).toMatchObject({
      ...{
        CapBnd: shown(0x40006),
        CapInh: shown(0x200000),
        CapPrm: shown(0x240006),
        CapEff: shown(0x240006),
      },
      ...{ CapAmb: shown(0), NoNewPrivs: '1' },
    });
  });

  it('are those of all its groups, as many as there may be', async () => {
    const groups = Array.from({ length: mostGroups }, (_, each) => 100_000 + each);
    const machine = tests.carried({ groups });
    expect(await machine.resume()).toBe(0);
    // Node.js adds the effective group.
    expect(machine.report?.groups).toEqual([...groups, process.getegid?.()]);
  });

  it('of another user are its ambient capabilities, and nothing of root', async () => {
    const machine = tests.carried({
      uid: 65_534,
      rights: { ...usual, bounding: '4000e', inheritable: '400f', ambient: '6' },
    });
    expect(await machine.resume()).toBe(0);
    expect(machine.report?.rights).toMatchObject({
      Uid: '65534 65534 65534 65534',
      ...{
        CapInh: shown(0x400f),
        CapPrm: shown(6),
        CapEff: shown(6),
        CapBnd: shown(0x4000e),
        CapAmb: shown(6),
      },
    });
  });
});
