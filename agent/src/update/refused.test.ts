// SPDX-License-Identifier: Apache-2.0
import { native } from '@luo-console/native';
import { afterEach, describe, expect, it } from 'vitest';
import type { Kind } from '../interface/agent.generated.ts';
import { Manifest } from '../liveupdate/manifest.ts';
import { formatToken } from '../liveupdate/tokens.ts';
import { describeRefusing, type HoldingSession, refusedToFreeze } from './refused.ts';

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
  } as const;
  const keep = async (): Promise<void> => {};
  const manifest = await Manifest.create(native.memory, head, keep);
  for (const [number, [kind, label]] of Object.entries(files)) {
    await manifest.add(
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
      keep,
    );
  }
  open.push({ name, manifest });
  return { name, manifest };
}

const remoteIo = { code: 'EREMOTEIO', errno: 121 };
const refusal = 'luo: Freeze failed for token[0x2] handler[luo-lab-iommu-v1] err[-121]';
const found = { token: '0x2', handler: 'luo-lab-iommu-v1', phase: 'kexec', errno: 'EREMOTEIO' };

describe('the file that refused to be frozen', () => {
  it('is the one the kernel log names, in the only session that has its token', async () => {
    const held = [
      await session('other', { 1: ['memfd', 'ram'] }),
      await session('guest', { 1: ['memfd', 'ram'], 2: ['other', 'iommu0'] }),
      { name: 'foreign', manifest: null },
    ];
    const refusing = refusedToFreeze(
      ['luo_lab: #4 iommu0 freeze: -121 (as switched)', refusal],
      held,
      remoteIo,
    );
    expect(refusing).toEqual({ ...found, session: 'guest', label: 'iommu0' });
    if (refusing === null) throw new Error('none was found');
    expect(describeRefusing(refusing)).toBe(
      'iommu0 (token 0x2) of session guest refused to be frozen: handler luo-lab-iommu-v1, EREMOTEIO',
    );
  });

  it('is told from another of that token by what its handler takes', async () => {
    const held = [
      await session('memory', { 2: ['memfd', 'ram'] }),
      await session('device', { 2: ['other', 'iommu0'] }),
    ];
    expect(refusedToFreeze([refusal], held, remoteIo)).toMatchObject({ session: 'device', label: 'iommu0' });
    const memory = 'luo: Freeze failed for token[0x2] handler[memfd-v2] err[-12]';
    expect(refusedToFreeze([memory], held, { code: 'ENOMEM', errno: 12 })).toMatchObject({
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

  it('may be the manifest itself', async () => {
    const line = 'luo: Freeze failed for token[0xffffffffffff0000] handler[memfd-v2] err[-12]';
    const held = [await session('guest', {})];
    const failure = { code: 'ENOMEM', errno: 12 };
    expect(refusedToFreeze([line], held, failure)).toMatchObject({ session: 'guest', label: 'the manifest' });
  });

  it('is the last one, with its errno by name where the kernel has names or the call failed with the same', () => {
    const named = 'luo: Freeze failed for token[0x3] handler[h] err[-EIO]';
    expect(refusedToFreeze([refusal, named], [], remoteIo)).toMatchObject({ token: '0x3', errno: 'EIO' });
    const other = { code: 'EBUSY', errno: 16 };
    expect(refusedToFreeze([refusal], [], other)).toMatchObject({ errno: 'errno 121' });
  });

  it('is none if the log does not say so', () => {
    const lines = ['luo: Freeze failed for token[0xg] handler[h] err[-5]', `luo-agent: ${refusal}`];
    expect(refusedToFreeze(lines, [], remoteIo)).toBeNull();
    expect(refusedToFreeze([], [], remoteIo)).toBeNull();
  });
});
