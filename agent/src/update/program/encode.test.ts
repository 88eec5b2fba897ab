// SPDX-License-Identifier: Apache-2.0
/** The bytes of a resume program, and what must never become one. */
import { describe, expect, it } from 'vitest';
import { bytesOf, encodeProgram, fnv1a, headerBytes } from './encode.ts';
import { type Instruction, instructionRows, mostBodyBytes, programFormat } from './instructions.ts';

const bodyOf = (instructions: readonly Instruction[]): string =>
  encodeProgram(instructions).subarray(headerBytes).toString('hex');

describe('the file of a program', () => {
  it('has a header with the format, the length, and a hash over both and the body', () => {
    const file = encodeProgram([{ does: 'loopback' }, { does: 'session', name: 'luo-console' }]);
    expect(file.subarray(0, 8).toString('latin1')).toBe('LUORESUM');
    expect([file.readUInt32LE(8), file.readUInt32LE(12)]).toEqual([programFormat, file.length - headerBytes]);
    expect(file.readBigUInt64LE(16)).toBe(fnv1a(file.subarray(8, 16), file.subarray(headerBytes)));
  });

  // Vectors that its authors publish.
  it.each([
    ['', 0xcbf29ce484222325n],
    ['a', 0xaf63dc4c8601ec8cn],
    ['foobar', 0x85944171f73967e8n],
  ])('has the hash that others compute: of "%s"', (text, hash) => {
    expect(fnv1a(Buffer.from(text))).toBe(hash);
    expect(fnv1a(...[...text].map((each) => Buffer.from(each)))).toBe(hash);
  });

  it('has each instruction with its code, its length, its numbers, its texts, and zeros up to eight bytes', () => {
    expect(bodyOf([{ does: 'node', mode: 0o660, uid: 0, gid: 104n, path: '/dev/kvm' }])).toBe(
      [
        ...['05000000', '21000000'],
        ...['b001000000000000', '0000000000000000', '6800000000000000'],
        ...[Buffer.from('/dev/kvm\0').toString('hex'), '00000000000000'],
      ].join(''),
    );
    expect(bodyOf([{ does: 'shut' }])).toBe('2b00000000000000');
    expect(bodyOf([{ does: 'until', wanted: 'a', refused: '', command: 'c' }])).toBe(
      `3400000005000000${Buffer.from('a\0\0c\0').toString('hex')}000000`,
    );
    const unlimited = 2n ** 64n - 1n;
    expect(bodyOf([{ does: 'limit', number: 8, soft: unlimited, hard: unlimited }])).toBe(
      `17000000180000000800000000000000${'f'.repeat(32)}`,
    );
  });

  it('has texts in UTF-8, and their bytes are counted', () => {
    const instructions: Instruction[] = [{ does: 'word', text: 'größe' }, { does: 'close' }];
    expect(bodyOf(instructions)).toContain(Buffer.from('größe\0').toString('hex'));
    expect(bytesOf(instructions)).toBe(encodeProgram(instructions).length - headerBytes);
  });
});

describe('the table', () => {
  it('gives no two instructions the same code', () => {
    const codes = Object.values(instructionRows).map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
  });
});

describe('a program is refused', () => {
  it.each<[string, Instruction]>([
    ['instruction word: text is "a\\u0000b", expected a text without NUL', { does: 'word', text: 'a\0b' }],
    ['instruction umask: mask is -1, expected a whole number of 64 bits', { does: 'umask', mask: -1 }],
    ['instruction group: gid is 1.5, expected', { does: 'group', gid: 1.5 }],
    ['instruction hand: file is 9007199254740992, expected', { does: 'hand', file: 2 ** 53 }],
    [
      'instruction limit: hard is 18446744073709551616, expected',
      { does: 'limit', number: 0, soft: 0, hard: 2n ** 64n },
    ],
  ])('that has a value the carrier cannot take: %s', (message, instruction) => {
    expect(() => encodeProgram([{ does: 'loopback' }, instruction])).toThrow(message);
    expect(() => bytesOf([instruction])).toThrow(message);
  });

  it('whose body is too long', () => {
    const word: Instruction = { does: 'word', text: 'x'.repeat(mostBodyBytes - 9) };
    expect(encodeProgram([word])).toHaveLength(headerBytes + mostBodyBytes);
    expect(() => encodeProgram([word, { does: 'close' }])).toThrow(
      'the resume program has 4194312 bytes, expected at most 4194304',
    );
  });

  const machine: Instruction = { does: 'machine', stateFile: 0, markOffset: 0, bytes: 0, session: 's' };
  const play: Instruction = { does: 'play', file: 0, offset: 0, bytes: 1 };
  it.each<[number, 'program' | 'machine' | 'play', Instruction]>([
    [64, 'program', { does: 'session', name: 's' }],
    [8192, 'program', { does: 'file', session: 0, token: 1 }],
    [256, 'program', machine],
    [4096, 'machine', { does: 'word', text: 'w' }],
    [256, 'machine', { does: 'variable', value: 'A=b' }],
    [256, 'machine', { does: 'group', gid: 1 }],
    [512, 'machine', { does: 'hand', file: 0 }],
    [253, 'play', { does: 'attach', file: 0 }],
  ])('that has more than %i in a %s of this: %o', (most, per, instruction) => {
    const fill = Array<Instruction>(most).fill(instruction);
    expect(() => encodeProgram([...fill, instruction])).toThrow(`more than ${most} in one ${per}`);
    const next = { program: [], machine: [machine], play: [play] }[per];
    if (next.length > 0) expect(() => encodeProgram([...fill, ...next, ...fill])).not.toThrow();
    else expect(() => encodeProgram([...fill, machine, play, instruction])).toThrow('more than');
  });
});
