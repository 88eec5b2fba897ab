// SPDX-License-Identifier: Apache-2.0
/**
 * A resume program as the bytes that the carrier reads, little-endian:
 *
 *     0   magic number "LUORESUM"
 *     8   format, u32
 *     12  bytes of the body, u32
 *     16  FNV-1a with 64 bits over bytes 8 to 15 and the body
 *     24  the body: instructions
 *
 * An instruction is its code and the bytes of its payload, u32 each. The payload is its numbers, u64, and its texts,
 * each with a NUL behind it. Zeros that do not count make it a multiple of 8.
 */
import {
  type Instruction,
  type InstructionName,
  instructionRows,
  mostBodyBytes,
  programFormat,
} from './instructions.ts';

const magic = 'LUORESUM';
/** Bytes in front of the instructions. */
export const headerBytes = 24;
const multiple = 8;
const mostOf64Bits = 2n ** 64n - 1n;

/**
 * The whole file.
 *
 * @throws Error that names the instruction and the value that the carrier would refuse
 */
export function encodeProgram(instructions: readonly Instruction[]): Buffer {
  checkCounts(instructions);
  const body = Buffer.concat(instructions.map(encodeInstruction));
  if (body.length > mostBodyBytes)
    throw new Error(`the resume program has ${body.length} bytes, expected at most ${mostBodyBytes}`);
  const header = Buffer.alloc(headerBytes);
  header.write(magic, 'latin1');
  header.writeUInt32LE(programFormat, 8);
  header.writeUInt32LE(body.length, 12);
  header.writeBigUInt64LE(fnv1a(header.subarray(8, 16), body), 16);
  return Buffer.concat([header, body]);
}

/**
 * FNV-1a with 64 bits (Fowler, Noll and Vo) of stretches one behind the other. It tells damage. An enemy who could change the program
 * could compute any digest. In halves of 32 bits, because the machines are stopped: with a bigint for each byte it takes
 * ten times as long.
 */
export function fnv1a(...stretches: readonly Uint8Array[]): bigint {
  // The prime is 2^40 + 0x1b3.
  const prime = 0x1b3;
  let [high, low] = [0xcbf29ce4, 0x84222325];
  for (const stretch of stretches) {
    for (const byte of stretch) {
      const mixed = (low ^ byte) >>> 0;
      const product = mixed * prime;
      low = product >>> 0;
      high = (Math.imul(high, prime) + Math.floor(product / 2 ** 32) + (mixed << 8)) >>> 0;
    }
  }
  return (BigInt(high) << 32n) | BigInt(low);
}

/** How many bytes of a body instructions take. @throws Error as `encodeProgram` */
export function bytesOf(instructions: readonly Instruction[]): number {
  return instructions.reduce((sum, each) => sum + encodeInstruction(each).length, 0);
}

function encodeInstruction(instruction: Instruction): Buffer {
  const { does } = instruction;
  const { code, numbers, texts } = instructionRows[does];
  const values: Readonly<Record<string, unknown>> = instruction;
  const payload = Buffer.concat([
    ...numbers.map((name) => encodeNumber(values[name], does, name)),
    ...texts.map((name) => encodeText(values[name], does, name)),
  ]);
  const head = Buffer.alloc(8);
  head.writeUInt32LE(code, 0);
  head.writeUInt32LE(payload.length, 4);
  return Buffer.concat([head, payload, Buffer.alloc(-payload.length & (multiple - 1))]);
}

function encodeNumber(value: unknown, does: InstructionName, name: string): Buffer {
  const number = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof number !== 'bigint' || number < 0n || number > mostOf64Bits)
    throw new Error(`instruction ${does}: ${name} is ${value}, expected a whole number of 64 bits`);
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(number);
  return bytes;
}

function encodeText(value: unknown, does: InstructionName, name: string): Buffer {
  if (typeof value !== 'string' || value.includes('\0'))
    throw new Error(`instruction ${does}: ${name} is ${JSON.stringify(value)}, expected a text without NUL`);
  return Buffer.from(`${value}\0`, 'utf8');
}

/** @throws Error if there are more of an instruction than the carrier has room for */
function checkCounts(instructions: readonly Instruction[]): void {
  const counts = new Map<InstructionName, number>();
  const startAgain = (whole: 'machine' | 'play'): void => {
    for (const does of counts.keys()) if (instructionRows[does].most?.per === whole) counts.delete(does);
  };
  for (const { does } of instructions) {
    const count = (counts.get(does) ?? 0) + 1;
    const { most } = instructionRows[does];
    if (most && count > most.count)
      throw new Error(`instruction ${does}: more than ${most.count} in one ${most.per}`);
    counts.set(does, count);
    if (does === 'machine' || does === 'play') startAgain(does);
  }
}
