// SPDX-License-Identifier: Apache-2.0
/** The memory of machines is put into huge pages before it is preserved, by the real kernel, and never in its way. */
import type { Descriptor } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { JournalEntry } from '../journal/index.ts';
import { agentItself } from '../liveupdate/live-update-context.ts';
import { AdoptionScene, end } from './adoptions.fixture.ts';

let scene: AdoptionScene;
beforeEach(() => {
  scene = new AdoptionScene();
});
afterEach(() => scene[Symbol.dispose]());

describe('the memory of a machine', () => {
  const huge = 2 << 20;
  const large = (name: string, bytes = 2 * huge): Descriptor => {
    const file = scene.memfd(name);
    scene.native.memory.truncate(file, BigInt(bytes));
    return file;
  };
  /** What was done to files, in order: `collapse` and `preserve`. */
  const acts = (): string[] => {
    const happened: string[] = [];
    const { collapse } = scene.native.memory;
    const { preserveFd } = scene.double;
    vi.spyOn(scene.native.memory, 'collapse').mockImplementation(async (...given) => {
      happened.push('collapse');
      return await collapse(...given);
    });
    vi.spyOn(scene.double, 'preserveFd').mockImplementation(async (...given) => {
      // Manifests have tokens above all others.
      if (given[2] < 1000n) happened.push('preserve');
      await preserveFd.apply(scene.double, given);
    });
    onTestFinished(() => void vi.restoreAllMocks());
    return happened;
  };
  const refused = (code: string): Error =>
    Object.assign(new Error(`${code}, madvise`), { code, errno: 12, syscall: 'madvise(MADV_COLLAPSE)' });
  /** What the journal's newest entry of that kind says of the adoption. */
  let adoptEntry: Record<string, unknown> | undefined;
  beforeEach(() => {
    adoptEntry = undefined;
    scene.journal.events.on('entry', ({ name, kind, parameters }: JournalEntry) => {
      if (name === 'machine.adopt' && kind === 'result') adoptEntry = parameters;
    });
  });

  it('is in huge pages before it is preserved, as the journal says', async () => {
    const ram = large('ram', 3 * huge);
    const happened = acts();
    const { pid } = await scene.startVmm('one', [ram, large('more')]);
    const told: [number, number][] = [];
    await scene.adoptions.adopt(pid ?? 0, { unlink: false, definition: null, priority: null }, agentItself, {
      onProgress: (...far) => void told.push(far),
    });
    expect(told.filter(([done, bytes]) => done === bytes)).toEqual([
      [3 * huge, 3 * huge],
      [2 * huge, 2 * huge],
    ]);
    expect(happened).toEqual(['collapse', 'preserve', 'collapse', 'preserve']);
    expect(await scene.native.memory.hugeBytes(ram)).toBe(BigInt(3 * huge));
    expect(scene.native.memory.read(ram, 0n, 3).toString()).toBe('ram');
    expect(adoptEntry).toMatchObject({
      hugePages: { bytes: 5 * huge, hugeBytes: 5 * huge, problem: null },
    });
  });

  it.each([
    { kind: 'memfd', bytes: huge - 4096 },
    { kind: 'hugetlb', bytes: 2 * huge },
  ] as const)('stays as it is if it is $kind of $bytes bytes', async ({ kind, bytes }) => {
    const one = await scene.startVmm('one', [large('ram', bytes)]);
    for (const each of scene.machines.get(one.pid ?? 0)?.machine.descriptors ?? []) each.kind = kind;
    const happened = acts();
    await scene.adopt(one);
    expect(happened).toEqual(['preserve']);
    expect(adoptEntry).not.toHaveProperty('hugePages');
  });

  it('is not preserved where the host has no memory to fill it, and nothing is left behind', async () => {
    const [ram, more] = [large('ram', 3 * huge), large('more')];
    const happened = acts();
    const one = await scene.startVmm('one', [ram, more]);
    scene.availableMemory = 70 * 1024 * 1024;
    await expect(scene.adopt(one)).rejects.toMatchObject({
      refusal: 'MachineUnusable',
      parameters: {
        name: 'one',
        reason:
          'preserving its memory fills 10 MiB that nobody has written yet; 70 MiB are free, of which 64 MiB must stay free',
      },
    });
    expect(happened).toEqual([]);
    expect(scene.sessions.list()).toEqual([]);
    // Filled by another process that has it: the VMM has not mapped it at all.
    for (const [file, bytes] of [
      [ram, 3 * huge],
      [more, 2 * huge],
    ] as const)
      scene.native.memory.write(file, 0n, Buffer.alloc(bytes, 'x'));
    expect(scene.placesIn(await scene.adopt(one))).toBe(2);
  });

  it('that came since is not preserved where the host has no memory to fill it', async () => {
    const one = await scene.startVmm('one', [large('ram')]);
    const session = await scene.adopt(one);
    // What is preserved already takes nothing.
    scene.availableMemory = 0;
    await scene.adoptions.protect(session, agentItself, {});
    scene.plug(one.pid ?? 0, 4, 'plugged', large('plugged'));
    await expect(scene.adoptions.protect(session, agentItself, {})).rejects.toMatchObject({
      refusal: 'MachineUnusable',
      parameters: { reason: expect.stringContaining('fills 4 MiB that nobody has written yet') },
    });
    expect(scene.placesIn(session)).toBe(1);
  });

  it('is preserved in small pages if the host has no huge page left', async () => {
    vi.spyOn(scene.native.memory, 'collapse').mockRejectedValue(refused('ENOMEM'));
    onTestFinished(() => void vi.restoreAllMocks());
    expect(scene.placesIn(await scene.adopt(await scene.startVmm('one', [large('ram')])))).toBe(1);
    expect(adoptEntry).toMatchObject({ hugePages: { hugeBytes: 0, problem: 'ENOMEM, madvise' } });
  });

  it('that came since is in huge pages before the update preserves it, and nothing else is touched', async () => {
    const one = await scene.startVmm('one', [large('ram')]);
    const session = await scene.adopt(one);
    scene.plug(one.pid ?? 0, 4, 'plugged', large('plugged'));
    const happened = acts();
    const told: number[] = [];
    await scene.adoptions.protect(session, agentItself, {
      onProgress: (...given) => void told.push(...given),
    });
    expect(happened).toEqual(['collapse', 'preserve']);
    expect(told).toEqual([2 * huge, 2 * huge]);
    expect(scene.placesIn(session)).toBe(2);
  });

  it('is neither collapsed further nor preserved once the update is aborted', async () => {
    const one = await scene.startVmm('one', [scene.memfd('small')]);
    const session = await scene.adopt(one);
    scene.plug(one.pid ?? 0, 4, 'plugged', large('plugged', 64 * huge));
    const happened = acts();
    const aborting = new AbortController();
    const onProgress = (): void => aborting.abort(new Error('called off'));
    const protecting = scene.adoptions.protect(session, agentItself, { signal: aborting.signal, onProgress });
    await expect(protecting).rejects.toThrow('called off');
    expect(happened).toEqual(['collapse']);
  });

  it('is not collapsed further once somebody else has preserved it, and is preserved once', async () => {
    const ram = large('ram', 64 * huge);
    const one = await scene.startVmm('one', [ram]);
    await scene.sessions.create('other', agentItself);
    const request = { token: null, label: 'ram', source: 'test' };
    const { collapse } = scene.native.memory;
    const collapsing = vi.spyOn(scene.native.memory, 'collapse').mockImplementation(async (...given) => {
      const bytes = await collapse(...given);
      await scene.sessions.preserve('other', ram, request, agentItself);
      return bytes;
    });
    onTestFinished(() => void vi.restoreAllMocks());
    expect(scene.placesIn(await scene.adopt(one))).toBe(0);
    expect(collapsing).toHaveBeenCalledTimes(1);
    expect(scene.placesIn('other')).toBe(1);
  });

  it('is not collapsed further once the machine is released, and its adoption fails', async () => {
    const one = await scene.startVmm('one', [large('ram', 64 * huge)]);
    const { collapse } = scene.native.memory;
    const collapsing = vi.spyOn(scene.native.memory, 'collapse').mockImplementation(async (...given) => {
      await scene.adoptions.release(one.pid ?? 0, agentItself);
      return await collapse(...given);
    });
    onTestFinished(() => void vi.restoreAllMocks());
    await expect(scene.adopt(one)).rejects.toMatchObject({ refusal: 'SessionNotFound' });
    expect(collapsing).toHaveBeenCalledTimes(1);
    expect(scene.sessions.list()).toEqual([]);
  });

  it('is preserved again at once when the machine that shared it has ended', async () => {
    const shared = large('shared');
    const one = await scene.startVmm('one', [shared]);
    const two = await scene.startVmm('two', [scene.native.descriptors.duplicate(shared)]);
    const [, second] = [await scene.adopt(one), await scene.adopt(two)];
    const happened = acts();
    await end(one);
    await vi.waitFor(() => expect(scene.placesIn(second)).toBe(1));
    expect(happened).toEqual(['preserve']);
  });
});
