// SPDX-License-Identifier: Apache-2.0
/** Cutting a stream into messages, and which descriptors belong to which. */
import { type Descriptor, native } from '@luo-console/native';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from './errors.ts';
import { closeAll, Framer, maxDescriptors } from './framing.ts';

const memfd = (): Descriptor => native.memory.memfdCreate('framing');

function cut(data: Buffer, places: readonly number[]): Buffer[] {
  const edges = [...new Set([0, ...places.map((place) => place % (data.length + 1)), data.length])];
  edges.sort((a, b) => a - b);
  return edges.slice(1).map((end, index) => data.subarray(edges[index], end));
}

describe('cutting a stream into messages', () => {
  it('gives back the same messages wherever the stream is split', () => {
    const message = fc.string({ unit: 'binary', maxLength: 60 }).map((text) => text.replaceAll('\0', '0'));
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), fc.array(fc.nat(1000)), (messages, places) => {
        const framer = new Framer(4000);
        const stream = Buffer.from(messages.map((text) => `${text}\0`).join(''));
        const frames = cut(stream, places).flatMap((piece) => framer.push(piece, []));
        expect(frames.map((frame) => frame.text.toString())).toEqual(messages);
        expect(framer.inMessage).toBe(false);
      }),
    );
  });

  it('gives back the same messages split at every byte', () => {
    const framer = new Framer(100);
    const stream = Buffer.from('{"a":1}\0{}\0\0{"b":"é"}\0half');
    const frames = [...stream].flatMap((byte) => framer.push(Buffer.from([byte]), []));
    expect(frames.map((frame) => frame.text.toString())).toEqual(['{"a":1}', '{}', '', '{"b":"é"}']);
    expect(framer.inMessage).toBe(true);
  });

  it('takes a message of the limit and refuses one byte more, in one piece or many', () => {
    expect(new Framer(10).push(Buffer.from('0123456789\0'), [])).toHaveLength(1);
    expect(() => new Framer(10).push(Buffer.from('0123456789a\0'), [])).toThrow(ProtocolError);
    const framer = new Framer(10);
    framer.push(Buffer.from('012345'), []);
    expect(() => framer.push(Buffer.from('6789a'), [])).toThrow('over 10 bytes');
  });
});

describe('whose descriptors they are', () => {
  it('the message that holds the last byte they came with', () => {
    const [early, late, next] = [memfd(), memfd(), memfd()];
    const framer = new Framer(100);
    const [a, b] = framer.push(Buffer.from('a\0b\0'), [early]);
    expect([a?.descriptors, b?.descriptors]).toEqual([[], [early]]);
    const [c] = framer.push(Buffer.from('c\0dd'), [late]);
    expect(c?.descriptors).toEqual([]);
    const [d, e] = framer.push(Buffer.from('d\0e\0'), [next]);
    expect([d?.descriptors, e?.descriptors]).toEqual([[late], [next]]);
    closeAll([early, late, next]);
  });

  it('closes what it holds when a message is too long, carries too many or is given up', () => {
    const held = Array.from({ length: 4 }, memfd);
    const tooLong = new Framer(10);
    tooLong.push(Buffer.from('a'), held.slice(0, 1));
    expect(() => tooLong.push(Buffer.from('bc\0and much more than ten'), held.slice(1, 3))).toThrow(
      ProtocolError,
    );
    const givenUp = new Framer(10);
    givenUp.push(Buffer.from('a'), held.slice(3));
    givenUp.dispose();
    expect(held.map((descriptor) => descriptor.closed)).toEqual([true, true, true, true]);

    const many = Array.from({ length: maxDescriptors + 1 }, memfd);
    const tooMany = new Framer(10);
    tooMany.push(Buffer.from('a'), many.slice(0, maxDescriptors));
    expect(() => tooMany.push(Buffer.from('b'), many.slice(maxDescriptors))).toThrow('over 253 descriptors');
    expect(many.every((descriptor) => descriptor.closed)).toBe(true);
  });
});
