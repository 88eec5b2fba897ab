// SPDX-License-Identifier: Apache-2.0
/**
 * A resume program that is encoded while its machines still run. All that it says of them is known by then, but for how
 * long their states are. So little is left to do once they are stopped: putting in the lengths. Compiling takes a slow
 * processor 10 ms for each machine, and all of them would wait for it.
 */
import { isDeepStrictEqual } from 'node:util';
import { markOffset } from '../../adoption/restart-mark.ts';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import { compileProgram, type ProgramMachine, type ProgramParts } from './compile.ts';
import {
  encodeProgram,
  headerBytes,
  instructionBytes,
  numberAt,
  sealProgram,
  writeNumber,
} from './encode.ts';
import type { Instruction } from './instructions.ts';

/** Where in the encoded program something of a machine's length stands, in bytes. */
interface LengthPlaces {
  /** The offset of its mark, which is behind its state. */
  readonly markOffset: number;
  /** The bytes of its device state, which is played last. */
  mainBytes: number;
}

export class ProgramAhead {
  readonly #machines: readonly SavedMachine[];
  readonly #file: Buffer;
  readonly #places: readonly LengthPlaces[];

  /**
   * @param parts machines as they will be saved, each with a state of which only `mainBytes` is not known yet
   * @throws Error as `compileProgram` and `encodeProgram`
   */
  constructor(parts: ProgramParts) {
    const program = compileProgram(parts);
    this.#machines = parts.machines.map(({ saved }) => saved);
    this.#file = encodeProgram(program);
    this.#places = lengthPlaces(program);
  }

  /** How long the program is, in bytes. */
  get bytes(): number {
    return this.#file.length;
  }

  /**
   * The program of the machines, now that they are saved.
   *
   * @returns null if it was encoded for others, or for machines that have changed since
   */
  completed(machines: readonly ProgramMachine[]): Buffer | null {
    const asAhead = ({ saved }: ProgramMachine, at: number): boolean => {
      const ahead = this.#machines[at];
      return ahead !== undefined && isSameButLength(saved, ahead);
    };
    if (machines.length !== this.#machines.length || !machines.every(asAhead)) return null;
    for (const [at, { saved }] of machines.entries()) {
      const places = this.#places[at];
      if (places === undefined || saved.state === null) return null;
      writeNumber(this.#file, places.markOffset, markOffset(saved));
      writeNumber(this.#file, places.mainBytes, saved.state.mainBytes);
    }
    sealProgram(this.#file);
    return this.#file;
  }
}

/** Whether two records of a machine make the same instructions, but for how long its state is. */
function isSameButLength(one: SavedMachine, other: SavedMachine): boolean {
  if (one.state === null || other.state === null) return false;
  const times = { brownoutUs: null, suspendedAtUs: null, savedAtUs: null };
  const mainBytes = 0;
  return isDeepStrictEqual(
    { ...one, ...times, state: { ...one.state, mainBytes } },
    { ...other, ...times, state: { ...other.state, mainBytes } },
  );
}

function lengthPlaces(program: readonly Instruction[]): LengthPlaces[] {
  const places: LengthPlaces[] = [];
  let at = headerBytes;
  for (const each of program) {
    const last = places.at(-1);
    if (each.does === 'machine')
      places.push({ markOffset: numberAt(at, 'machine', 'markOffset'), mainBytes: 0 });
    if (each.does === 'play' && last) last.mainBytes = numberAt(at, 'play', 'bytes');
    at += instructionBytes(each);
  }
  return places;
}
