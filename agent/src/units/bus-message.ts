// SPDX-License-Identifier: Apache-2.0
/**
 * Messages of D-Bus in bytes, as far as the service manager's private socket needs them. They are little-endian, with
 * each value aligned to its size within the message (D-Bus Specification, "Marshaling (Wire Format)"). A value is
 * written and read by its signature.
 */

/** A value with its signature, which is what a variant (`v`) holds. */
export class Variant {
  readonly signature: string;
  readonly value: BusValue;

  constructor(signature: string, value: BusValue) {
    this.signature = signature;
    this.value = value;
  }
}

/** `y`, `u`, `i`: number; `b`: boolean; `t`: bigint; `s`, `o`, `g`: string; `a…` and `(…)`: array; `v`: Variant. */
export type BusValue = number | bigint | boolean | string | Variant | readonly BusValue[];

/** The message was not what the protocol allows. */
export class BusProtocolError extends Error {}

const alignments: Readonly<Record<string, number>> = {
  ...{ y: 1, g: 1, v: 1, b: 4, u: 4, i: 4, s: 4, o: 4, a: 4, t: 8, '(': 8 },
};

function alignmentOf(signature: string): number {
  const alignment = alignments[signature[0] ?? ''];
  if (alignment === undefined)
    throw new BusProtocolError(`signature "${signature}" is not one of those used here`);
  return alignment;
}

/** The length of the first complete type of a signature. */
function typeLength(signature: string): number {
  if (signature[0] === 'a') return 1 + typeLength(signature.slice(1));
  if (signature[0] !== '(') return 1;
  let at = 1;
  while (at < signature.length && signature[at] !== ')') at += typeLength(signature.slice(at));
  return at + 1;
}

/** A signature's complete types, one after the other. */
function* typesOf(signature: string): Generator<string> {
  for (let rest = signature; rest !== ''; ) {
    const type = rest.slice(0, typeLength(rest));
    yield type;
    rest = rest.slice(type.length);
  }
}

class Writer {
  #bytes = Buffer.alloc(1024);
  length = 0;

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.length);
  }

  /**
   * Makes room for `size` bytes at the next multiple of `alignment`, maybe in a larger buffer. Call this first, and
   * look at the buffer only then.
   *
   * @returns where
   */
  place(alignment: number, size: number): number {
    const start = Math.ceil(this.length / alignment) * alignment;
    if (start + size > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(Math.max(this.#bytes.length, start + size))]);
    }
    this.length = start + size;
    return start;
  }

  byte(value: number): void {
    const at = this.place(1, 1);
    this.#bytes.writeUInt8(value, at);
  }

  number(value: number): number {
    const at = this.place(4, 4);
    this.#bytes.writeUInt32LE(value, at);
    return at;
  }

  text(value: string, lengthBytes: 1 | 4): void {
    const size = Buffer.byteLength(value);
    if (lengthBytes === 4) this.number(size);
    else this.byte(size);
    const at = this.place(1, size + 1);
    this.#bytes.write(value, at, 'utf8');
  }

  list(item: string, values: readonly BusValue[]): void {
    const at = this.number(0);
    const start = this.place(alignmentOf(item), 0);
    for (const value of values) this.value(item, value);
    this.#bytes.writeUInt32LE(this.length - start, at);
  }

  /** @throws BusProtocolError if the value is not of that type */
  value(type: string, value: BusValue): void {
    const kind = type[0];
    if (kind === 'y' && typeof value === 'number') this.byte(value);
    else if (kind === 'u' && typeof value === 'number') this.number(value);
    else if (kind === 'i' && typeof value === 'number') this.number(value >>> 0);
    else if (kind === 'b' && typeof value === 'boolean') this.number(value ? 1 : 0);
    else if (kind === 't' && typeof value === 'bigint') {
      const at = this.place(8, 8);
      this.#bytes.writeBigUInt64LE(value, at);
    } else if ((kind === 's' || kind === 'o') && typeof value === 'string') this.text(value, 4);
    else if (kind === 'g' && typeof value === 'string') this.text(value, 1);
    else if (kind === 'v' && value instanceof Variant) {
      this.text(value.signature, 1);
      this.value(value.signature, value.value);
    } else if (kind === 'a' && Array.isArray(value)) this.list(type.slice(1), value);
    else if (kind === '(' && Array.isArray(value)) {
      this.place(8, 0);
      this.values(type.slice(1, -1), value);
    } else throw new BusProtocolError(`a value does not fit its signature "${type}"`);
  }

  values(signature: string, values: readonly BusValue[]): void {
    const types = [...typesOf(signature)];
    if (types.length !== values.length)
      throw new BusProtocolError(`${values.length} values for "${signature}"`);
    for (const [index, type] of types.entries()) this.value(type, values[index] ?? '');
  }
}

class Reader {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  #take(alignment: number, size: number): number {
    const start = Math.ceil(this.at / alignment) * alignment;
    if (start + size > this.#bytes.length) throw new BusProtocolError('a message ends too early');
    this.at = start + size;
    return start;
  }

  #number(): number {
    return this.#bytes.readUInt32LE(this.#take(4, 4));
  }

  #text(size: number): string {
    const start = this.#take(1, size + 1);
    return this.#bytes.toString('utf8', start, start + size);
  }

  #list(item: string): BusValue[] {
    const size = this.#number();
    const end = this.#take(alignmentOf(item), 0) + size;
    const values: BusValue[] = [];
    while (this.at < end) values.push(this.value(item));
    return values;
  }

  value(type: string): BusValue {
    const kind = type[0];
    if (kind === 'y') return this.#bytes.readUInt8(this.#take(1, 1));
    if (kind === 'u') return this.#number();
    if (kind === 'i') return this.#number() | 0;
    if (kind === 'b') return this.#number() !== 0;
    if (kind === 't') return this.#bytes.readBigUInt64LE(this.#take(8, 8));
    if (kind === 's' || kind === 'o') return this.#text(this.#number());
    if (kind === 'g') return this.#text(this.#bytes.readUInt8(this.#take(1, 1)));
    if (kind === 'v') {
      const signature = this.#text(this.#bytes.readUInt8(this.#take(1, 1)));
      return new Variant(signature, this.value(signature));
    }
    if (kind === 'a') return this.#list(type.slice(1));
    if (kind !== '(') throw new BusProtocolError(`signature "${type}" is not one of those used here`);
    this.#take(8, 0);
    return this.values(type.slice(1, -1));
  }

  values(signature: string): BusValue[] {
    return [...typesOf(signature)].map((type) => this.value(type));
  }
}

/** Kinds of messages, by their number in the header. */
export const messageKind = { call: 1, reply: 2, error: 3, signal: 4 } as const;

/** Header fields, by their number. */
const field = { path: 1, interface: 2, member: 3, error: 4, reply: 5, destination: 6, signature: 8 } as const;

export interface BusMessage {
  readonly kind: number;
  /** Of the sender's own counting. */
  readonly serial: number;
  /** Of the message it answers; 0 if it answers none. */
  readonly replyTo: number;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  /** The name of the error, in one. */
  readonly error: string;
  readonly signature: string;
  readonly body: readonly BusValue[];
}

const textFields = { path: 'o', interface: 's', member: 's', error: 's', signature: 'g' } as const;

/** @param message of which fields that are empty are left out */
export function writeMessage(message: BusMessage): Buffer {
  const body = new Writer();
  body.values(message.signature, message.body);
  const fields: BusValue[] = [];
  for (const [name, type] of Object.entries(textFields) as [keyof typeof textFields, string][]) {
    if (message[name] !== '') fields.push([field[name], new Variant(type, message[name])]);
  }
  if (message.replyTo !== 0) fields.push([field.reply, new Variant('u', message.replyTo)]);
  const header = new Writer();
  // Byte order, kind, flags, version of the protocol.
  header.values('yyyyuua(yv)', [0x6c, message.kind, 0, 1, body.length, message.serial, fields]);
  header.place(8, 0);
  return Buffer.concat([header.bytes(), body.bytes()]);
}

/** Longest message, in bytes, that the specification allows. */
const longestMessage = 128 * 1024 * 1024;

/**
 * Reads the first message of what has come.
 *
 * @returns the message and its length in bytes; null if it is not there as a whole yet
 * @throws BusProtocolError
 */
export function readMessage(bytes: Buffer): { message: BusMessage; length: number } | null {
  if (bytes.length < 16) return null;
  if (bytes[0] !== 0x6c || bytes[3] !== 1)
    throw new BusProtocolError('what came is no message in little-endian');
  const bodyLength = bytes.readUInt32LE(4);
  const fieldsEnd = 16 + bytes.readUInt32LE(12);
  const bodyStart = Math.ceil(fieldsEnd / 8) * 8;
  const length = bodyStart + bodyLength;
  if (length > longestMessage) throw new BusProtocolError(`a message of ${length} bytes`);
  if (bytes.length < length) return null;
  const texts = { path: '', interface: '', member: '', error: '', signature: '' };
  let replyTo = 0;
  const fields = new Reader(bytes.subarray(0, fieldsEnd), 12).value('a(yv)') as readonly [number, Variant][];
  for (const [number, { value }] of fields) {
    if (number === field.reply && typeof value === 'number') replyTo = value;
    for (const name of Object.keys(texts) as (keyof typeof texts)[]) {
      if (field[name] === number && typeof value === 'string') texts[name] = value;
    }
  }
  // A body that is of no interest may have types that are not read here.
  const readable = /^[yubtsogva()]*$/.test(texts.signature);
  const body = readable ? new Reader(bytes.subarray(bodyStart, length), 0).values(texts.signature) : [];
  const serial = bytes.readUInt32LE(8);
  return { message: { kind: bytes[1] ?? 0, serial, replyTo, ...texts, body }, length };
}
