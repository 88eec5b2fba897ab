// SPDX-License-Identifier: Apache-2.0
/** Which file the kernel refused, as told by its log. */
import { native } from '@luo-console/native';
import { afterEach, describe, expect, it } from 'vitest';
import type { Kind } from '../../interface/agent.generated.ts';
import { Manifest } from '../../liveupdate/manifest.ts';
import { formatToken } from '../../liveupdate/tokens.ts';
import { CameBack, type HoldingSession, refusedToReturn } from './refused.ts';

const open: HoldingSession[] = [];
afterEach(() => {
  for (const { manifest } of open.splice(0)) manifest?.close();
});

/** A session with these descriptors: kind and label by token. */
async function session(
  name: string,
  files: Readonly<Record<number, [Kind, string]>>,
): Promise<HoldingSession> {
  const head = {
    name,
    createdAtUs: 1,
    createdBy: 'root',
    carried: 0,
    state: 'open',
    handedOut: false,
    machine: null,
  } as const;
  const keep = async (): Promise<void> => {};
  const manifest = await Manifest.create(native.memory, head, keep);
  for (const [number, [kind, label]] of Object.entries(files)) {
    await manifest.add(
      [
        {
          token: formatToken(BigInt(number)),
          order: Number(number),
          state: 'preserved',
          kind,
          label,
          source: 'descriptor 3 of qemu-system-x86 (pid 100)',
          size: 4096,
          inode: 70,
          preservedAtUs: 1,
          digest: null,
          digestAtUs: null,
          verdict: 'unchecked',
        },
      ],
      keep,
    );
  }
  open.push({ name, manifest });
  return { name, manifest };
}

const failed = (code: string, errno: number): Error =>
  Object.assign(new Error(`${code}: as switched`), { code, errno, syscall: 'reboot' });
const remoteIo = failed('EREMOTEIO', 121);

const refusedToFreeze = (lines: readonly string[], held: readonly HoldingSession[], failure: Error) =>
  new CameBack(failure, lines, held).refusedBy;

const refusal = 'luo: Freeze failed for token[0x2] handler[luo-lab-iommu-v1] err[-121]';
const found = { token: '0x2', handler: 'luo-lab-iommu-v1', phase: 'kexec', errno: 'EREMOTEIO' };

describe('the file that refused to be frozen', () => {
  it('is the one the kernel log names, in the only session that has its token', async () => {
    const held = [
      await session('other', { 1: ['memfd', 'ram'] }),
      await session('guest', { 1: ['memfd', 'ram'], 2: ['other', 'iommu0'] }),
      { name: 'foreign', manifest: null },
    ];
    const lines = ['luo_lab: #4 iommu0 freeze: -121 (as switched)', refusal];
    const cameBack = new CameBack(remoteIo, lines, held);
    expect(cameBack.refusedBy).toEqual({ ...found, session: 'guest', label: 'iommu0' });
    expect(cameBack.errno).toBe('EREMOTEIO');
    expect(cameBack.message).toBe(
      'the kernel refused the kexec: EREMOTEIO (EREMOTEIO: as switched): iommu0 (token 0x2) of session guest ' +
        'refused to be frozen, handler luo-lab-iommu-v1, EREMOTEIO; nothing is lost',
    );
  });

  it('is told from another of that token by what its handler takes', async () => {
    const held = [
      await session('memory', { 2: ['memfd', 'ram'] }),
      await session('device', { 2: ['other', 'iommu0'] }),
    ];
    expect(refusedToFreeze([refusal], held, remoteIo)).toMatchObject({ session: 'device', label: 'iommu0' });
    const memory = 'luo: Freeze failed for token[0x2] handler[memfd-v2] err[-12]';
    expect(refusedToFreeze([memory], held, failed('ENOMEM', 12))).toMatchObject({
      session: 'memory',
      handler: 'memfd-v2',
      errno: 'ENOMEM',
    });
  });

  it('is in no session that can be told if two have such a token, or none has', async () => {
    const one = await session('one', { 2: ['other', 'iommu0'] });
    const two = await session('two', { 2: ['other', 'iommu1'] });
    expect(refusedToFreeze([refusal], [one, two], remoteIo)).toEqual({ ...found, session: null, label: '' });
    expect(refusedToFreeze([refusal], [], remoteIo)).toEqual({ ...found, session: null, label: '' });
  });

  it('may be a manifest, or the record of the update under the same token', async () => {
    const failure = failed('ENOMEM', 12);
    const line = (token: string): string =>
      `luo: Freeze failed for token[${token}] handler[memfd-v2] err[-12]`;
    const first = '0xffffffffffff0000';
    const record = { session: 'luo-console', label: 'the record of the update' };
    expect(refusedToFreeze([line(first)], [], failure)).toMatchObject(record);
    const state = { session: 'luo-console', label: 'the state of a machine' };
    expect(refusedToFreeze([line('0xffffffffffff8001')], [], failure)).toMatchObject(state);
    const many = Object.fromEntries(
      Array.from({ length: 300 }, (_, number): [number, [Kind, string]] => [
        number,
        ['memfd', 'x'.repeat(120)],
      ]),
    );
    const held = [await session('guest', many)];
    expect(refusedToFreeze([line(first)], held, failure)).toMatchObject({ session: null, label: '' });
    const manifest = { session: 'guest', label: 'the manifest' };
    expect(refusedToFreeze([line('0xffffffffffff0001')], held, failure)).toMatchObject(manifest);
  });

  it('is the last one, with its errno by name where the kernel has names or the call failed with the same', () => {
    const named = 'luo: Freeze failed for token[0x3] handler[h] err[-EIO]';
    expect(refusedToFreeze([refusal, named], [], remoteIo)).toMatchObject({ token: '0x3', errno: 'EIO' });
    const other = failed('EBUSY', 16);
    expect(refusedToFreeze([refusal], [], other)).toMatchObject({ errno: 'errno 121' });
  });

  it('is none if the log does not say so', () => {
    const lines = ['luo: Freeze failed for token[0xg] handler[h] err[-5]', `luo-console: ${refusal}`];
    expect(refusedToFreeze(lines, [], remoteIo)).toBeNull();
    expect(refusedToFreeze([], [], remoteIo)).toBeNull();
    const other = new CameBack(new TypeError('no kernel'), [refusal], []);
    expect(other).toMatchObject({ errno: null, refusedBy: null });
    expect(other.message).toBe('the kernel refused the kexec: TypeError: no kernel; nothing is lost');
  });
});

describe('the file that was not given back', () => {
  it('is the first that its handler refused, and none that was not there', () => {
    const carried = ['0x0', '0x1', '0x2', '0x3'].map((token) => ({
      session: 'guest',
      token,
      label: `file ${token}`,
      size: 0,
      digestBefore: null,
      digestAfter: null,
      verdict: 'missing' as const,
      reason: '',
    }));
    const errnos = new Map([
      ['guest 0x1', 'ENOENT'],
      ['guest 0x2', 'EREMOTEIO'],
      ['guest 0x3', 'EIO'],
    ]);
    expect(refusedToReturn(carried, (...place) => errnos.get(place.join(' ')))).toEqual({
      session: 'guest',
      token: '0x2',
      label: 'file 0x2',
      handler: '',
      phase: 'retrieving',
      errno: 'EREMOTEIO',
    });
    expect(refusedToReturn(carried, () => undefined)).toBeNull();
  });
});
