// SPDX-License-Identifier: Apache-2.0
/** What the plan says of preserved files that would come back sealed against writing. */
import { type Descriptor, type Memory, native } from '@luo-console/native';
import { afterEach, describe, expect, it } from 'vitest';
import { sealedMemfd } from '../../adoption/adoptions.fixture.ts';
import type { PlannedMachine } from '../../interface/agent.generated.ts';
import { HeldSession } from '../../liveupdate/held-session.ts';
import type { MachineHead } from '../../liveupdate/machine-head.ts';
import { Manifest } from '../../liveupdate/manifest.ts';
import type { ManifestEntry } from '../../liveupdate/manifest-format.ts';
import { plannedMachine } from './planned-machine.fixture.ts';
import { sealsCheck } from './seals-check.ts';

let held: HeldSession[] = [];
afterEach(() => {
  for (const session of held) session.release();
  held = [];
});

const head: MachineHead = {
  ...{ name: 'web', definition: null, definitionText: null, way: 'cpr', priority: 0, pid: 7, startTime: '1' },
  ...{ bootId: 'this', monitor: '/run/web', unlinked: [], suspended: false, before: null },
  command: { program: '/usr/bin/qemu', words: [], directory: '/', uid: 0, gid: 0 },
};

/** Holds a session with these files. */
async function hold(name: string, machine: MachineHead | null, files: readonly Descriptor[]): Promise<void> {
  const about = { createdAtUs: 1, createdBy: 'root', carried: 0, state: 'open', handedOut: false } as const;
  const manifest = await Manifest.create(native.memory, { ...about, name, machine }, async () => {});
  const session = new HeldSession(name, 'outgoing', null, manifest);
  held.push(session);
  for (const [index, file] of files.entries()) {
    session.files.set(BigInt(index), file);
    const entry: ManifestEntry = {
      ...{ token: `0x${index}`, order: index, state: 'preserved', kind: 'memfd', label: `file ${index}` },
      ...{ source: '', size: 1, inode: 1, preservedAtUs: 1, digest: null, digestAtUs: null },
      verdict: 'unchecked',
    };
    await manifest.add([entry], async () => {});
  }
}

const planned = (leave: boolean): PlannedMachine => plannedMachine('web', { leave });

const check = (machines: readonly PlannedMachine[], memory: Partial<Memory> = {}) =>
  sealsCheck(
    { native: { memory: { ...native.memory, ...memory } }, sessions: { list: () => held } },
    machines,
  );

const plain = (): Descriptor => native.memory.memfdCreate('plain');
const sealed = (): Descriptor => sealedMemfd({ native }, 'sealed');

describe('the check of seals', () => {
  it('passes where nothing has one', async () => {
    await hold('machine:web', head, [plain(), plain()]);
    await hold('people', null, [plain()]);
    expect(check([planned(false)])[0]).toBe('pass');
  });

  it('fails for the memory of a machine that is carried over, and names the file and the seal', async () => {
    await hold('machine:web', head, [plain(), sealed()]);
    const [verdict, detail] = check([planned(false)]);
    expect(verdict).toBe('fail');
    expect(detail).toMatch(/^file 1: it has the seal F_SEAL_EXEC.*leave it behind$/);
  });

  it('says nothing of a machine that is left behind', async () => {
    await hold('machine:web', head, [sealed()]);
    expect(check([planned(true)])[0]).toBe('pass');
  });

  it('warns of what people preserve: they may only read it', async () => {
    await hold('people', null, [sealed()]);
    expect(check([])).toEqual([
      'warn',
      expect.stringMatching(/can only be read: file 0: it has the seal F_SEAL_EXEC/),
    ]);
  });

  it('fails where the agent cannot make files of its own, and names the setting', () => {
    const memfdCreate: Memory['memfdCreate'] = () => {
      throw Object.assign(new Error('no'), { code: 'ENOENT', errno: 2, syscall: 'open(O_TMPFILE)' });
    };
    expect(check([], { memfdCreate })).toEqual([
      'fail',
      expect.stringMatching(/vm\.memfd_noexec forbids .*\/dev\/shm.*ENOENT/),
    ]);
  });
});
