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
/** In front of each payload. */
const codeBytes = 8;
const numberBytes = 8;
const multiple = 8;
const mostOf64Bits = 2n ** 64n - 1n;
const twoTo32 = 2 ** 32;

/**
 * The whole file, in one buffer: machines are stopped while it is made.
 *
 * @throws Error that names the instruction and the value that the carrier would refuse
 */
export function encodeProgram(instructions: readonly Instruction[]): Buffer {
  checkCounts(instructions);
  const bodyBytes = bytesOf(instructions);
  if (bodyBytes > mostBodyBytes)
    throw new Error(`the resume program has ${bodyBytes} bytes, expected at most ${mostBodyBytes}`);
  const file = Buffer.alloc(headerBytes + bodyBytes);
  let at = headerBytes;
  for (const each of instructions) at = writeInstruction(file, at, each);
  file.write(magic, 'latin1');
  file.writeUInt32LE(programFormat, 8);
  file.writeUInt32LE(bodyBytes, 12);
  sealProgram(file);
  return file;
}

/** Writes the digest of an encoded program into it: once it is whole, and whenever a number has changed. */
export function sealProgram(file: Buffer): void {
  file.writeBigUInt64LE(fnv1a(file.subarray(8, 16), file.subarray(headerBytes)), 16);
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
  let bytes = 0;
  for (const each of instructions) bytes += instructionBytes(each);
  return bytes;
}

/** How many bytes an instruction takes. @throws Error as `encodeProgram` */
export const instructionBytes = (each: Instruction): number => codeBytes + roundedUp(payloadBytes(each));

/**
 * Where in the file a number of an instruction stands.
 *
 * @param begin where the instruction does
 */
export const numberAt = (begin: number, does: InstructionName, name: string): number =>
  begin + codeBytes + numberBytes * instructionRows[does].numbers.indexOf(name);

const roundedUp = (bytes: number): number => bytes + (-bytes & (multiple - 1));

/** @throws Error that names a value that does not fit */
function payloadBytes(instruction: Instruction): number {
  const { does } = instruction;
  const { numbers, texts } = instructionRows[does];
  const values: Readonly<Record<string, unknown>> = instruction;
  let bytes = numberBytes * numbers.length;
  for (const name of numbers) checkNumber(values[name], does, name);
  for (const name of texts) bytes += Buffer.byteLength(textOf(values[name], does, name), 'utf8') + 1;
  return bytes;
}

/** @param file of zeros. @returns where the next one begins */
function writeInstruction(file: Buffer, begin: number, instruction: Instruction): number {
  const { does } = instruction;
  const { code, numbers, texts } = instructionRows[does];
  const values: Readonly<Record<string, unknown>> = instruction;
  let at = begin + codeBytes;
  for (const name of numbers) at = writeNumber(file, at, values[name]);
  for (const name of texts) at += file.write(textOf(values[name], does, name), at, 'utf8') + 1;
  const bytes = at - begin - codeBytes;
  file.writeUInt32LE(code, begin);
  file.writeUInt32LE(bytes, begin + 4);
  return begin + codeBytes + roundedUp(bytes);
}

/** @param value a whole number of 64 bits. @returns where the next one begins */
export function writeNumber(file: Buffer, at: number, value: unknown): number {
  if (typeof value === 'bigint') return file.writeBigUInt64LE(value, at);
  const number = Number(value);
  // A bigint for each would take longer than all the rest.
  file.writeUInt32LE(number % twoTo32, at);
  return file.writeUInt32LE(Math.floor(number / twoTo32), at + 4);
}

function checkNumber(value: unknown, does: InstructionName, name: string): void {
  const fits =
    typeof value === 'bigint'
      ? value >= 0n && value <= mostOf64Bits
      : Number.isSafeInteger(value) && Number(value) >= 0;
  if (!fits) throw new Error(`instruction ${does}: ${name} is ${value}, expected a whole number of 64 bits`);
}

function textOf(value: unknown, does: InstructionName, name: string): string {
  if (typeof value === 'string' && !value.includes('\0')) return value;
  throw new Error(`instruction ${does}: ${name} is ${JSON.stringify(value)}, expected a text without NUL`);
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
