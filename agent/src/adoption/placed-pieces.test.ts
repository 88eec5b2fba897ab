// SPDX-License-Identifier: Apache-2.0
/** What a VMM hands over: where it is preserved, and how much of it may be. */
import { type Descriptor, native } from '@luo-console/native';
import { expect, it } from 'vitest';
import { placedPieces } from './placed-pieces.ts';

const mebibyte = 1024 * 1024;

/** A file of which nothing is allocated. */
function sparse(bytes: number): Descriptor {
  const file = native.memory.memfdCreate('sparse');
  native.memory.truncate(file, BigInt(bytes));
  return file;
}

function context(preserved: bigint[]) {
  const place = { session: 'machine:one', token: '0x7' };
  const whereIs = ({ ino }: { ino: bigint }) => (preserved.includes(ino) ? place : null);
  let asked = 0;
  const preserve = async () => {
    asked += 1;
    return { session: 'luo-console', token: '0x1' };
  };
  return { given: { native, whereIs, preserve }, asked: () => asked };
}

it('files that are preserved already are not preserved again, however large they are', async () => {
  using memory = sparse(2 ** 40);
  using other = sparse(mebibyte);
  const { given, asked } = context([native.memory.fileFacts(memory).ino]);
  const pieces = [{ data: Buffer.from('QCPR'), descriptors: [memory, other] }];
  expect(await placedPieces(pieces, given)).toEqual([
    {
      bytes: 4,
      files: [
        { session: 'machine:one', token: '0x7' },
        { session: 'luo-console', token: '0x1' },
      ],
    },
  ]);
  expect(asked()).toBe(1);
});

it('a VMM cannot have the kernel allocate as much as it likes', async () => {
  using one = sparse(40 * mebibyte);
  using two = sparse(40 * mebibyte);
  const { given, asked } = context([]);
  const pieces = [one, two].map((each) => ({ data: Buffer.from('x'), descriptors: [each] }));
  await expect(placedPieces(pieces, given)).rejects.toThrow(
    'its VMM hands over files of which 80 MiB are not allocated yet; expected at most 64 MiB',
  );
  expect(asked()).toBe(1);
});
