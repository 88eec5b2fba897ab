// SPDX-License-Identifier: Apache-2.0
/** Machines of an update for tests: their VMMs are made up, and what is written down of them is kept here. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { Unended } from '../host/unended.ts';
import type { FailurePolicy } from '../interface/agent.generated.ts';
import type { MachineBefore, MachineHead } from '../liveupdate/machine-head.ts';
import type { Adopted } from './adoption-context.ts';
import { Suspension } from './suspension.ts';
import type { SuspensionContext } from './suspension-context.ts';
import type { VmmFacts } from './vmm-facts.ts';

/** Whom the VMMs run as: whoever runs this. */
const user = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

export const facts: VmmFacts = {
  ...{ groups: [36], umask: 0o027, nice: 0, limits: [], variables: [], nodes: [], directories: [] },
  ...{ writesRoot: false, filledBytes: 0, needs: [], obstacle: null },
  ...{ rights: null, profile: null, resources: null, unkept: null, modules: [] },
};

export function adopted(name: string, monitor: string, way: MachineHead['way'] = 'whole_state'): Adopted {
  const command = { program: '/usr/bin/qemu', words: [], directory: '/', ...user };
  const machine: MachineHead = {
    ...{ name, definition: null, definitionText: null, way, priority: 0, pid: process.pid, startTime: '1' },
    ...{ bootId: 'this', monitor, command, unlinked: [], suspended: false, before: null },
  };
  return { session: `machine:${name}`, machine };
}

export class SuspensionScene implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'luo-suspension-'));
  /** Sessions whose guest is marked as stopped, in the order of the marks; a `!` is put before one that is unmarked. */
  readonly marks: string[] = [];
  /** What is noted of each machine's state before, by its session. */
  readonly notes = new Map<string, MachineBefore | null>();
  /** The same, each that was noted. */
  readonly noted = new Map<string, MachineBefore[]>();
  /** Whether their VMMs are still there. */
  areThere: boolean | Promise<boolean> = true;

  suspension(
    machines: readonly Adopted[],
    policy: FailurePolicy = 'stop',
    change: Partial<SuspensionContext> = {},
  ): Suspension {
    let token = 0;
    return new Suspension(
      {
        native,
        unended: new Unended(() => {}),
        socketDirectory: this.directory,
        nowUs: () => 1,
        reach: (_pid, path) => path,
        whereIs: () => null,
        preserve: async () => ({ session: 'luo-console', token: `0x${(token++).toString(16)}` }),
        mark: (session, { suspended, before }) => {
          if (suspended !== undefined) this.marks.push(`${suspended ? '' : '!'}${session}`);
          if (before === undefined) return;
          this.notes.set(session, before);
          if (before) this.noted.set(session, [...(this.noted.get(session) ?? []), before]);
        },
        isThere: async () => this.areThere,
        namedMemory: async () => [],
        facts: async ({ session }) => (session === 'machine:unknown' ? null : facts),
        memoryOf: () => null,
        saveLimitMs: () => 30_000,
        writeAhead: async () => {},
        stopping: () => {},
        isStopped: (session) => this.marks.lastIndexOf(session) > this.marks.lastIndexOf(`!${session}`),
        signal: new AbortController().signal,
        changed: () => {},
        ...change,
      },
      machines,
      policy,
      0,
      [],
    );
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}

export const stagesOf = (suspension: Suspension): Record<string, string> =>
  Object.fromEntries(suspension.runs().map(({ name, stage }) => [name, stage]));
