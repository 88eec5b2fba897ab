// SPDX-License-Identifier: Apache-2.0
/** What is written down of a newly adopted machine, and the name that its session gets. */
import { expect, it } from 'vitest';
import type { Machine } from '../interface/agent.generated.ts';
import { sampleMachine } from '../luocon/machine.fixture.ts';
import { freeSessionName, headOf } from './new-adoption.ts';

/** This very process, as a machine. */
const headOfThis = (more: Partial<Machine>) =>
  headOf(
    { ...sampleMachine, pid: process.pid, way: 'cpr', unlinks: [], monitorPath: '/run/one.qmp', ...more },
    { unlink: false, definition: null },
    { paths: { proc: '/proc' }, bootId: 'boot' },
  );

it('a machine is refused at adoption if the next kernel’s agent could not read what is written down of it', async () => {
  expect(await headOfThis({ name: 'n'.repeat(256) })).toMatchObject({ pid: process.pid });
  for (const more of [{ name: 'n'.repeat(257) }, { monitorPath: `/${'m'.repeat(4096)}` }]) {
    const [member = ''] = Object.keys(more);
    await expect(headOfThis(more)).rejects.toMatchObject({
      refusal: 'MachineUnusable',
      parameters: { reason: expect.stringContaining(`${member.slice(0, 4)}`) },
    });
  }
});

it('the session of a machine has its name, cut to what the kernel takes, and its pid where that is taken', () => {
  const none = (): boolean => false;
  expect(freeSessionName({ name: 'web-01', pid: 7 }, none)).toBe('machine:web-01');
  const long = freeSessionName({ name: 'ä'.repeat(80), pid: 7 }, none);
  expect(Buffer.byteLength(long)).toBeLessThanOrEqual(63);
  expect(long).toMatch(/^machine:ä+$/);
  const taken = new Set([long, 'machine:web-01']);
  expect(freeSessionName({ name: 'web-01', pid: 4711 }, (name) => taken.has(name))).toBe(
    'machine:web-01:4711',
  );
  const second = freeSessionName({ name: 'ä'.repeat(80), pid: 4711 }, (name) => taken.has(name));
  expect(Buffer.byteLength(second)).toBeLessThanOrEqual(63);
  expect(second).toMatch(/:4711$/);
});
