// SPDX-License-Identifier: Apache-2.0
/** The status of a host, and what is known of its service manager. */
import { EventEmitter } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Peer } from '../interface/agent.generated.ts';
import { nameServiceManager } from '../units/manager-version.ts';
import { Phases } from '../update/record/phases.ts';
import { StatusBoard, type StatusSources } from './status.ts';

const you: Peer = { uid: 1, gid: 1, pid: 1, user: 'ann', command: 'test', role: 'viewer' };

let versions: PromiseWithResolvers<readonly string[]>;
let phases: Phases;
let reads = 0;
let board: StatusBoard;
let stop: AbortController;

beforeEach(() => {
  versions = Promise.withResolvers();
  phases = new Phases(() => 1);
  reads = 0;
  stop = new AbortController();
  board = new StatusBoard({
    version: '1',
    kernel: {
      facts: { release: 'a', bootId: 'b', commandLine: '', hostName: 'h' },
      availability: async () => ({ availability: 'available', explanation: 'the device answers' }),
      number: 0,
      log: null,
    },
    images: { runningPath: '/boot/vmlinuz-a', runningVersions: () => versions.promise },
    loader: { loaded: null },
    sessions: {
      events: new EventEmitter(),
      list: () => {
        reads += 1;
        return [];
      },
    },
    phases,
    updater: { events: new EventEmitter(), progress: null, lastUpdate: null },
    clock: () => 1n,
    serviceManager: async () => 'made-up',
  } as unknown as StatusSources);
});

afterEach(() => stop.abort());

describe('the status', () => {
  it('says that the handover versions are being read, and is told again once they are known', async () => {
    const states = board.follow(you, stop.signal);
    const first = (await states.next()).value?.liveUpdate;
    expect(first?.handoverVersions).toEqual([]);
    expect(first?.explanation).toContain('still being read from /boot/vmlinuz-a');
    versions.resolve(['kho-v4']);
    const second = (await states.next()).value?.liveUpdate;
    expect(second).toMatchObject({ explanation: 'the device answers', handoverVersions: ['kho-v4'] });
  });

  it('says when there are no versions to be read', async () => {
    versions.resolve([]);
    const { explanation } = (await board.read(you)).liveUpdate;
    expect(explanation).toBe('the device answers; no handover versions could be read from /boot/vmlinuz-a');
  });

  it('reaches a reader that was busy while it changed', async () => {
    versions.resolve(['kho-v4']);
    const states = board.follow(you, stop.signal);
    expect((await states.next()).value?.phase).toBe('normal');
    // The reader waits for nothing while this happens, and the news of it has long passed when it asks again.
    const witness = board.follow(you, stop.signal);
    await witness.next();
    phases.enter('preserving');
    expect((await witness.next()).value?.phase).toBe('preserving');
    expect((await states.next()).value?.phase).toBe('preserving');
  });

  it('is put together once for everybody who asks at the same time, and many changes are one', async () => {
    versions.resolve(['kho-v4']);
    await Promise.all(Array.from({ length: 50 }, () => board.read(you)));
    expect(reads).toBe(1);
    const states = board.follow(you, stop.signal);
    await states.next();
    reads = 0;
    for (let change = 0; change < 1000; change += 1) board.changed();
    await states.next();
    expect(reads).toBe(1);
  });

  it('ends with its reader', async () => {
    versions.resolve([]);
    const states = board.follow(you, stop.signal);
    await states.next();
    const last = states.next();
    stop.abort();
    expect((await last).done).toBe(true);
  });
});

describe('the service manager', () => {
  it('is named by the library that process 1 runs, and where there is none it is none', async () => {
    const proc = mkdtempSync(join(tmpdir(), 'luo-proc-'));
    try {
      mkdirSync(join(proc, '1'));
      const lines = [
        '7f0-7f1 r--p 00000000 fe:00 1 /usr/lib/x86_64-linux-gnu/systemd/libsystemd-core-262.so',
        '7f2-7f3 r--p 00000000 fe:00 2 /usr/lib/x86_64-linux-gnu/libsystemd.so.0.41.0',
      ];
      writeFileSync(join(proc, '1/maps'), `${lines.join('\n')}\n`);
      expect(await nameServiceManager('/run/systemd/notify', proc)).toBe('systemd 262');
      expect(await nameServiceManager(undefined, proc)).toBe('none');
    } finally {
      rmSync(proc, { recursive: true });
    }
  });
});
