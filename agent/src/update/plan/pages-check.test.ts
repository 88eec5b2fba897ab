// SPDX-License-Identifier: Apache-2.0
/** What the plan says of small pages. */
import { type FdLike, type Memory, native } from '@luo-console/native';
import { afterEach, describe, expect, it } from 'vitest';
import type { Kind, PlannedMachine } from '../../interface/agent.generated.ts';
import { HeldSession } from '../../liveupdate/held-session.ts';
import { Manifest } from '../../liveupdate/manifest.ts';
import { pagesCheck } from './pages-check.ts';
import { plannedMachine } from './planned-machine.fixture.ts';

const gibibyte = 2 ** 30;

/** Files by machine, each with its size and how much of it the kernel says is huge; null if it does not say. */
type Files = readonly { readonly size: number; readonly huge: number | null; readonly kind?: Kind }[];

let held: HeldSession[] = [];
afterEach(() => {
  for (const session of held) session.release();
  held = [];
});

const planned = (name: string, leave: boolean): PlannedMachine => plannedMachine(name, { leave });

async function check(machines: Readonly<Record<string, Files>>, left: readonly string[] = []) {
  const hugeOf = new Map<FdLike, number | null>();
  for (const [name, files] of Object.entries(machines)) {
    const manifest = await Manifest.create(
      native.memory,
      {
        ...{ name, createdAtUs: 1, createdBy: 'root', carried: 0, state: 'open' },
        handedOut: false,
        machine: null,
      },
      async () => {},
    );
    const session = new HeldSession(`machine:${name}`, 'outgoing', null, manifest);
    held.push(session);
    for (const [index, { size, huge, kind = 'memfd' }] of files.entries()) {
      const file = native.memory.memfdCreate(name);
      hugeOf.set(file, huge);
      session.files.set(BigInt(index), file);
      await manifest.add(
        [
          {
            ...{
              token: `0x${index.toString(16)}`,
              order: index,
              state: 'preserved',
              kind,
              label: '',
              source: '',
            },
            ...{ size, inode: 1, preservedAtUs: 1, digest: null, digestAtUs: null, verdict: 'unchecked' },
          },
        ],
        async () => {},
      );
    }
  }
  const hugeBytes: Memory['hugeBytes'] = async (file) => {
    const huge = hugeOf.get(file);
    if (typeof huge === 'number') return BigInt(huge);
    throw Object.assign(new Error('ENODATA'), { code: 'ENODATA', errno: 61, syscall: 'read' });
  };
  const sessions = {
    has: (name: string) => held.some((each) => each.name === name),
    get: (name: string) => {
      const found = held.find((each) => each.name === name);
      if (!found) throw new Error(`there is no session ${name}`);
      return found;
    },
  };
  const [verdict, detail] = await pagesCheck(
    { native: { memory: { hugeBytes } }, sessions },
    Object.keys(machines).map((name) => planned(name, left.includes(name))),
  );
  return { verdict, detail };
}

describe('the check of pages', () => {
  it('passes where all memory is in huge pages, and says what that saves', async () => {
    expect(await check({ vm1: [{ size: 4 * gibibyte, huge: 4 * gibibyte }] })).toEqual({
      verdict: 'pass',
      detail: 'the memory of the machines is in huge pages (4096 MiB), which saves about 5.8 s',
    });
  });

  it('warns of each machine with memory in small pages, and says how much longer that takes', async () => {
    const { verdict, detail } = await check({
      vm1: [
        { size: 2 * gibibyte, huge: gibibyte },
        { size: gibibyte, huge: 0, kind: 'tmpfs_unlinked' },
      ],
      vm2: [{ size: gibibyte, huge: gibibyte }],
      vm3: [{ size: gibibyte, huge: gibibyte / 2 }],
    });
    expect(verdict).toBe('warn');
    expect(detail).toBe(
      '2048 MiB of vm1 are in small pages: about 2.9 s more; 512 MiB of vm3 are in small pages: about 0.7 s more. ' +
        'To try to put it into huge pages, release a machine and adopt it again',
    );
  });

  it.each<[string, Record<string, Files>]>([
    ['there is no machine', {}],
    ['a file is too small to matter', { vm1: [{ size: 16 << 20, huge: 0 }] }],
    ['a file is smaller than a huge page', { vm1: [{ size: 4096, huge: null }] }],
    ['a file is no memory', { vm1: [{ size: gibibyte, huge: 0, kind: 'other' }] }],
    ['the kernel does not say', { vm1: [{ size: gibibyte, huge: null }] }],
  ])('passes and says nothing of a saving where %s', async (_why, machines) => {
    expect(await check(machines)).toEqual({
      ...{ verdict: 'pass', detail: 'no machine has so much memory that its pages matter' },
    });
  });

  it('says nothing of a machine that is left behind', async () => {
    const slow = { vm1: [{ size: gibibyte, huge: 0 }] };
    expect(await check(slow)).toMatchObject({ verdict: 'warn' });
    expect(await check({ vm2: slow.vm1 }, ['vm2'])).toMatchObject({ verdict: 'pass' });
  });
});
