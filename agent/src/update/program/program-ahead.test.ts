// SPDX-License-Identifier: Apache-2.0
/** A program that is encoded before its machines are saved is the one that would be compiled afterwards, or none. */
import { expect, it } from 'vitest';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import { compileProgram, type ProgramMachine } from './compile.ts';
import { encodeProgram } from './encode.ts';
import { ProgramAhead } from './program-ahead.ts';
import { facts, machine } from './saved-machine.fixture.ts';

/** A machine on way `cpr`. */
function numbered(number: number, changes: Partial<SavedMachine> = {}): ProgramMachine {
  const session = `machine:${number}`;
  const pieces = [
    { bytes: 100, files: [{ session, token: '0x1' }] },
    { bytes: 4, files: [] },
  ];
  const state = { token: `0xffff000${number}`, cprBytes: 104, mainBytes: 0 };
  return { saved: machine({ session, way: 'cpr', pieces, state, ...changes }), facts };
}

const withLength = ({ saved, facts }: ProgramMachine, mainBytes: number): ProgramMachine => {
  if (saved.state === null) throw new Error('its state has a place');
  return { saved: { ...saved, savedAtUs: 7, state: { ...saved.state, mainBytes } }, facts };
};

const compiled = (machines: readonly ProgramMachine[]): Buffer =>
  encodeProgram(compileProgram({ index: 'luo-console', machines }));

it.each([
  ['of one machine', [numbered(1)]],
  [
    'of one on each way',
    [
      numbered(1, { way: 'named_memory', pieces: [], state: { token: '0x9', cprBytes: 0, mainBytes: 0 } }),
      numbered(2),
      numbered(3, { ran: false }),
      numbered(4, { way: 'whole_state', pieces: [], state: { token: '0x8', cprBytes: 0, mainBytes: 0 } }),
    ],
  ],
  ['of none', []],
])('%s it is completed to what would be compiled', (_name, machines) => {
  const ahead = new ProgramAhead({ index: 'luo-console', machines });
  for (const length of [2 ** 33 + 5, 77_000]) {
    const saved = machines.map((each, at) => withLength(each, length + at));
    expect(ahead.completed(saved)?.toString('hex')).toBe(compiled(saved).toString('hex'));
    expect(ahead.bytes).toBe(compiled(saved).length);
  }
});

const one = numbered(1);
const two = numbered(2);
it.each([
  ['one has been left behind', [two]],
  ['another has come', [one, two, numbered(3)]],
  ['they have another order', [two, one]],
  ['the owner of one has paused it', [one, numbered(2, { ran: false })]],
  [
    'a state went on elsewhere',
    [one, numbered(2, { state: { token: '0x77', cprBytes: 104, mainBytes: 0 } })],
  ],
  ['one has handed over other pieces', [one, numbered(2, { pieces: [{ bytes: 104, files: [] }] })]],
  ['one is not saved', [one, numbered(2, { state: null })]],
])('there is none if %s', (_name, machines) => {
  expect(new ProgramAhead({ index: 'luo-console', machines: [one, two] }).completed(machines)).toBeNull();
});
