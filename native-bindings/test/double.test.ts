// SPDX-License-Identifier: Apache-2.0
/** What the double offers beyond the contract: its record of acts, its failures, and what a kexec loses. */
import { readSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type DoubleEvent, LiveUpdateDouble } from '../src/double/index.ts';
import { descriptors, memory } from '../src/index.ts';
import { failureOf, rejectionOf } from './failures.ts';

function recorded(): { double: LiveUpdateDouble; acts: () => string[] } {
  const events: DoubleEvent[] = [];
  const double = new LiveUpdateDouble({ observe: (event) => events.push(event) });
  const acts = () =>
    events
      .splice(0)
      .map(({ act, session, token }) => `${act} ${session}${token === undefined ? '' : ` ${token}`}`);
  return { double, acts };
}

function create(double: LiveUpdateDouble, name: string) {
  using device = double.openDevice();
  return double.createSession(device, name);
}

async function preserveNew(double: LiveUpdateDouble, session: ReturnType<typeof create>, tokens: bigint[]) {
  for (const token of tokens) {
    using file = memory.memfdCreate(`file ${token}`);
    memory.write(file, 0n, Buffer.from(`contents ${token}`));
    await double.preserveFd(session, file, token);
  }
}

describe('the record', () => {
  it('shows that closing an outgoing session unpreserves newest first', async () => {
    const { double, acts } = recorded();
    using _ = double;
    const session = create(double, 's');
    await preserveNew(double, session, [5n, 1n, 3n]);
    session.close();
    create(double, 'other').close();
    expect(acts()).toEqual([
      'create s',
      'preserve s 5',
      'preserve s 1',
      'preserve s 3',
      'unpreserve s 3',
      'unpreserve s 1',
      'unpreserve s 5',
      'create other',
    ]);
  });

  it('shows that a kexec freezes in order, and that closing an incoming session finishes it', async () => {
    const { double, acts } = recorded();
    using _ = double;
    using session = create(double, 's');
    await preserveNew(double, session, [5n, 1n]);
    acts();
    double.kexec();
    expect(acts()).toEqual(['freeze s 5', 'freeze s 1']);
    using device = double.openDevice();
    const incoming = await double.retrieveSession(device, 's');
    (await double.retrieveFd(incoming, 1n)).close();
    incoming.close();
    expect(await rejectionOf(double.retrieveSession(device, 's'))).toMatchObject({ code: 'ENOENT' });
    expect(acts()).toEqual(['retrieve s 1', 'finish s 1', 'finish s 5']);
  });

  it('shows that an incoming session nobody retrieved is discarded by the next kexec', async () => {
    const { double, acts } = recorded();
    using _ = double;
    using session = create(double, 's');
    await preserveNew(double, session, [1n]);
    double.kexec();
    acts();
    double.kexec();
    expect(acts()).toEqual(['discard s']);
    using device = double.openDevice();
    expect(await rejectionOf(double.retrieveSession(device, 's'))).toMatchObject({ code: 'ENOENT' });
  });
});

describe('a kexec', () => {
  it('makes old descriptors stand for nothing', () => {
    using double = new LiveUpdateDouble();
    using device = double.openDevice();
    using session = double.createSession(device, 's');
    double.kexec();
    expect(failureOf(() => double.sessionName(session))).toMatchObject({ code: 'ENOTTY' });
    expect(failureOf(() => double.createSession(device, 't'))).toMatchObject({ code: 'ENOTTY' });
    double.openDevice().close();
  });

  it('copies: what the old owner writes afterwards is not seen', async () => {
    using double = new LiveUpdateDouble();
    using session = create(double, 's');
    using file = memory.memfdCreate('owner');
    memory.write(file, 0n, Buffer.from('before'));
    await double.preserveFd(session, file, 1n);
    double.kexec();
    memory.write(file, 0n, Buffer.from('after!'));
    using device = double.openDevice();
    using incoming = await double.retrieveSession(device, 's');
    using retrieved = await double.retrieveFd(incoming, 1n);
    expect(memory.read(retrieved, 0n, 100).toString()).toBe('before');
    expect(memory.fileFacts(retrieved).ino).not.toBe(memory.fileFacts(file).ino);
  });

  it('keeps a position beyond the end, and one in the middle', async () => {
    using double = new LiveUpdateDouble();
    using session = create(double, 's');
    using file = memory.memfdCreate('file');
    memory.truncate(file, 3_000_000n);
    readSync(file.fd, Buffer.alloc(2_500_000), 0, 2_500_000, null);
    memory.truncate(file, 1_000n);
    await double.preserveFd(session, file, 1n);
    double.kexec();
    using device = double.openDevice();
    using incoming = await double.retrieveSession(device, 's');
    using retrieved = await double.retrieveFd(incoming, 1n);
    expect(memory.fileFacts(retrieved).size).toBe(1_000n);
    memory.truncate(retrieved, 2_500_003n);
    expect(readSync(retrieved.fd, Buffer.alloc(100), 0, 100, null)).toBe(3);
  });

  it('three in a row carry a file through each', async () => {
    using double = new LiveUpdateDouble();
    let file = memory.memfdCreate('travels');
    memory.write(file, 0n, Buffer.from('still here'));
    for (let count = 0; count < 3; count++) {
      using outgoing = create(double, 's');
      await double.preserveFd(outgoing, file, 7n);
      double.kexec();
      file.close();
      using device = double.openDevice();
      using incoming = await double.retrieveSession(device, 's');
      file = await double.retrieveFd(incoming, 7n);
      await double.finish(incoming);
    }
    expect(memory.read(file, 0n, 100).toString()).toBe('still here');
    file.close();
  });
});

describe('failures on demand', () => {
  it.each(['ENOENT', 'EIO', 'EACCES'] as const)('every open answers %s', (code) => {
    using double = new LiveUpdateDouble();
    double.openFailure = code;
    expect(failureOf(() => double.openDevice())).toMatchObject({ code, syscall: 'open' });
    double.openFailure = null;
    double.openDevice().close();
  });

  it('another path is another device', () => {
    using double = new LiveUpdateDouble({ path: '/dev/elsewhere' });
    expect(failureOf(() => double.openDevice())).toMatchObject({ code: 'ENOENT' });
    double.openDevice('/dev/elsewhere').close();
  });
});

it('arguments are checked as the addon checks them', async () => {
  using double = new LiveUpdateDouble();
  using device = double.openDevice();
  using session = double.createSession(device, 's');
  expect(() => double.createSession(device, 'a\0b')).toThrow(RangeError);
  await expect(double.preserveFd(session, 0, -1n)).rejects.toThrow(RangeError);
  await expect(double.retrieveFd(session, 5 as unknown as bigint)).rejects.toThrow(TypeError);
  await expect(double.finish('3' as unknown as number)).rejects.toThrow(TypeError);
});

it('a session outlives its first descriptor as long as there is a copy', async () => {
  using double = new LiveUpdateDouble();
  const session = create(double, 's');
  using copy = descriptors.duplicate(session);
  session.close();
  await preserveNew(double, copy, [1n]);
  expect(double.sessionName(copy)).toBe('s');
});
