// SPDX-License-Identifier: Apache-2.0
/** How long the carrier waits for a VMM: as long as it goes on, and no longer. */

import { describe, expect, it } from 'vitest';
import { marks } from './carried.fixture.ts';
import { carrierTests } from './carrier-tests.ts';

const tests = carrierTests();

describe('a machine', () => {
  it('whose VMM listens late is not given up while it is busy', async () => {
    // Less than it takes: it listens once it was found busy more than once.
    const machine = tests.carried({ whim: 'late', quietS: 1, filledBytes: 600e9 });
    expect(await machine.resume()).toBe(0);
    expect(machine.report).toMatchObject({ ran: 1, loaded: [expect.any(String)] });
    const waits = machine.said('waits').filter((text) => text.includes('/cpr'));
    expect(waits[0]).toBe(`for its VMM to listen on ${machine.directory}/0/cpr`);
    expect(waits.slice(1, 3)).toEqual(
      Array(2).fill(`for its VMM, which is busy, to listen on ${machine.directory}/0/cpr`),
    );
  });

  it('whose VMM takes its state slowly, and does nothing else, has the time for all of it', async () => {
    // It takes longer than that for all, and far less for so little.
    const machine = tests.carried({ whim: 'takes-slowly', quietS: 3, leastBytes: 50_000 });
    expect(await machine.resume()).toBe(0);
    expect(machine.report?.loaded.map((each) => each.length)).toEqual([machine.saved.state?.mainBytes]);
  });

  it('whose VMM takes its state more slowly than it has to is ended', async () => {
    const machine = tests.carried({ whim: 'takes-slowly', quietS: 1, leastBytes: 10_000_000 });
    expect(await machine.resume()).toBe(1);
    expect(machine.said('failed').join()).toContain('the VMM did not take its state');
    expect([machine.mark, machine.vmmRuns]).toEqual([marks.starting, false]);
  });

  it.each([
    ['hang', 'listen on DIRECTORY/0/cpr: for 1 s it did hardly anything'],
    ['takes-nothing', 'take its state: for 1 s it did hardly anything'],
    ['silent', 'answer on its monitor: for 1 s it did hardly anything'],
  ])('whose VMM does nothing is ended, however long it may be busy: %s', async (whim, why) => {
    const machine = tests.carried({ whim, quietS: 1, filledBytes: 600e9 });
    expect(await machine.resume()).toBe(1);
    expect(machine.said('failed')).toEqual([
      `the VMM did not ${why.replace('DIRECTORY', machine.directory)}`,
    ]);
    expect([machine.mark, machine.vmmRuns]).toEqual([marks.starting, false]);
  });

  it('whose VMM is busy for longer than its memory explains is ended', async () => {
    const machine = tests.carried({ whim: 'busy', quietS: 1 });
    expect(await machine.resume()).toBe(1);
    expect(machine.said('failed').join()).toContain('/0/cpr: it was busy for 2 s');
    expect(machine.vmmRuns).toBe(false);
  });

  it('whose worker hangs is ended in the end, and tells so', async () => {
    const machine = tests.carried({ quietS: 1 });
    expect(await machine.resume('hang:0:connect')).toBe(1);
    expect(machine.said('failed')).toEqual(["the carrier's process for it did nothing for too long"]);
    expect([machine.mark, machine.vmmRuns]).toEqual([marks.starting, false]);
  });
});
