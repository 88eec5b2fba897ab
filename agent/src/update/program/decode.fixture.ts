// SPDX-License-Identifier: Apache-2.0
/** Reads a resume program back as the carrier does, for tests. */
import { fnv1a, headerBytes } from './encode.ts';
import { instructionRows, programFormat } from './instructions.ts';

/** An instruction with its values by their names. */
export type Decoded = { readonly does: string } & Readonly<Record<string, bigint | string>>;

/** What is behind the program does not count: the file may have had room for a longer one. @throws Error if the header, the body or an instruction is not as it must be */
export function decodeProgram(file: Buffer): Decoded[] {
  const bodyBytes = file.length < headerBytes ? 0 : file.readUInt32LE(12);
  const body = file.subarray(headerBytes, headerBytes + bodyBytes);
  if (file.toString('latin1', 0, 8) !== 'LUORESUM' || file.readUInt32LE(8) !== programFormat)
    throw new Error('the file is no resume program of this format');
  if (bodyBytes !== body.length) throw new Error('the file is shorter than its header says');
  if (fnv1a(file.subarray(8, 16), body) !== file.readBigUInt64LE(16)) throw new Error('the file is damaged');
  const decoded: Decoded[] = [];
  for (let at = 0; at < body.length; ) {
    const length = body.readUInt32LE(at + 4);
    decoded.push(decodeOne(body.readUInt32LE(at), body.subarray(at + 8, at + 8 + length)));
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return decoded;
}

function decodeOne(code: number, payload: Buffer): Decoded {
  const [does, row] = Object.entries(instructionRows).find(([, each]) => each.code === code) ?? [];
  if (does === undefined || row === undefined) throw new Error(`no instruction has the code ${code}`);
  const texts = payload
    .subarray(8 * row.numbers.length)
    .toString('utf8')
    .split('\0');
  if (texts.pop() !== '' || texts.length !== row.texts.length)
    throw new Error(`instruction ${does}: another number of texts than ${row.texts.length}`);
  return Object.fromEntries([
    ['does', does],
    ...row.numbers.map((name, index) => [name, payload.readBigUInt64LE(8 * index)]),
    ...row.texts.map((name, index) => [name, texts[index]]),
  ]);
}
