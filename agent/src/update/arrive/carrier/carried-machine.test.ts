// SPDX-License-Identifier: Apache-2.0
/** A machine that the carrier had in its hands: its times, and the end of a VMM that must not go on. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RestartPoint } from '../../../adoption/restore.ts';
import type { SavedMachine } from '../../../adoption/saved-machine.ts';
import { partsOf, withUserspace } from '../../record/blackout-parts.ts';
import { carrierMarks, carrierPointsUs, endCarried } from './carried-machine.ts';
import { lives, MadeUpCarrier, type Waiting } from './made-up-carrier.fixture.ts';
import type { CarrierNews } from './taken-over.ts';

const saved: SavedMachine = {
  ...{ name: 'one', session: 'machine:one', definition: null, way: 'cpr', priority: 0, pid: 100, ran: true },
  capabilities: {},
  command: { program: '/usr/bin/qemu', words: [], directory: '/', uid: 0, gid: 0 },
  ...{ monitor: '/run/one.qmp', state: null, pieces: [], memory: [], facts: null, brownoutUs: 1 },
  ...{ suspendedAtUs: 1_000_000, savedAtUs: 1_050_000 },
};
const kernelStartedAtUs = 2_000_000;

/** As the log has them, ns of `CLOCK_BOOTTIME`. */
const reached = new Map<RestartPoint, number>([
  ['starting', 1_244_000_999],
  ['loading', 1_780_000_000],
  ['loaded', 1_820_000_000],
  ['running', 1_824_500_000],
]);
type Times = Pick<CarrierNews, 'bornNs' | 'retrievedNs'>;
const taken: Times = { bornNs: 1_184_000_000, retrievedNs: 1_238_000_000 };

const points = (
  machine: SavedMachine,
  points: ReadonlyMap<RestartPoint, number>,
  now: [string, number][] = [],
) =>
  carrierPointsUs(
    machine,
    {
      ...{ pid: 1, startedPid: 1 },
      files: { pidFile: '/run/luo-carrier/0.pid', output: '/run/luo-carrier/0.out' },
      reached: points,
      failed: null,
      log: { waited: [], done: [], failedAt: null },
    },
    kernelStartedAtUs,
    new Map(now),
  );
const partsFrom = (carrier: Times, reachedUs: ReadonlyMap<string, number>) =>
  partsOf(saved, carrierMarks(carrier, kernelStartedAtUs), reachedUs, 1_000_000).map(
    ({ part, startedAtUs, durationUs }) => [part, startedAtUs, durationUs],
  );

describe('a machine that the carrier brought back', () => {
  it('has the parts that the log tells, to the microsecond', () => {
    expect(partsFrom(taken, points(saved, reached))).toEqual([
      ['save', 0, 50_000],
      ['kexec', 50_000, 950_000],
      ['boot', 1_000_000, 1_184_000],
      ['retrieve', 2_184_000, 54_000],
      ['start', 2_238_000, 542_000],
      ['load', 2_780_000, 40_000],
      ['resume', 2_820_000, 4500],
    ]);
  });

  it('has a part userspace from process 1 to the carrier’s first act', () => {
    const marks = carrierMarks(taken, kernelStartedAtUs);
    const parts = partsOf(saved, marks, points(saved, reached), 1_000_000);
    expect(withUserspace(parts, 1_180_000).slice(2, 4)).toEqual([
      { part: 'boot', startedAtUs: 1_000_000, durationUs: 1_180_000 },
      { part: 'userspace', startedAtUs: 2_180_000, durationUs: 4000 },
    ]);
  });

  it('has a part userspace also where the clock of the kernel’s log is ahead of the carrier’s', () => {
    const marks = carrierMarks(taken, kernelStartedAtUs);
    const parts = partsOf(saved, marks, points(saved, reached), 1_000_000);
    expect(withUserspace(parts, 1_190_000).slice(2, 4)).toEqual([
      { part: 'boot', startedAtUs: 1_000_000, durationUs: 1_184_000 },
      { part: 'userspace', startedAtUs: 2_184_000, durationUs: 0 },
    ]);
  });

  it('that was paused before is as it was once it is loaded', () => {
    const loaded = new Map([...reached].filter(([point]) => point !== 'running'));
    expect(points({ ...saved, ran: false }, loaded, [['running', 9]]).get('running')).toBe(3_820_000);
  });

  it('runs since the agent saw it, if the log does not say since when', () => {
    const loaded = new Map([...reached].filter(([point]) => point !== 'running'));
    expect(points(saved, loaded, [['running', 9_000_000]]).get('running')).toBe(9_000_000);
    expect(points(saved, reached, [['running', 9_000_000]]).get('running')).toBe(3_824_500);
  });

  it('has no part of which the log says nothing', () => {
    const unknown = { bornNs: null, retrievedNs: null };
    expect(partsFrom(unknown, points(saved, reached)).map(([part]) => part)).toEqual(['save', 'kexec']);
    expect(partsFrom(unknown, points(saved, new Map())).map(([part]) => part)).toEqual(['save', 'kexec']);
  });
});

describe('a VMM of the carrier’s whose guest has not run', () => {
  let directory: string;
  let carrier: MadeUpCarrier;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'luo-carried-vmm-'));
    const at = (name: string): string => join(directory, name);
    carrier = new MadeUpCarrier({
      proc: at('proc'),
      carrier: at('program'),
      carrierDirectory: at('carrier'),
    });
  });
  afterEach(async () => {
    await carrier.dispose();
    rmSync(directory, { recursive: true });
  });

  const end = async ({ pid }: Waiting, program = '/usr/bin/qemu'): Promise<void> => {
    const files = { pidFile: '/run/luo-carrier/0.pid', output: '/run/luo-carrier/0.out' };
    const machine = { ...saved, command: { ...saved.command, program } };
    await endCarried({ native, paths: { proc: carrier.proc }, log: () => {} }, machine, {
      ...{
        pid: null,
        startedPid: pid,
        files,
        reached: new Map(),
        failed: null,
        log: { waited: [], done: [], failedAt: null },
      },
    });
  };

  it.each(['/init.scope', '/machine.slice/luo-machine-one.service/below'])(
    'is ended: in %s',
    async (group) => {
      const vmm = await carrier.process(undefined, { program: '/usr/bin/qemu', group });
      await end(vmm);
      expect(await vmm.ended).toBe('SIGKILL');
    },
  );

  it('that somebody has moved keeps its machine from being tried again', async () => {
    const group = '/user.slice/x.scope';
    const vmm = await carrier.process(undefined, { program: '/usr/bin/qemu', group });
    const why = `process ${vmm.pid}, which may be its VMM, is neither where the carrier started it nor in its unit`;
    await expect(end(vmm)).rejects.toThrow(why);
    expect(lives(vmm)).toBe(true);
    // The record has the name that it was started by.
    const program = join(directory, 'qemu');
    writeFileSync(program, '');
    const linked = await carrier.process(undefined, { program, group });
    symlinkSync(program, join(directory, 'link'));
    await expect(end(linked, join(directory, 'link'))).rejects.toThrow('may be its VMM');
  });

  it('whose number another program has by now is gone', async () => {
    const other = await carrier.process(undefined, {
      program: '/usr/bin/sh',
      group: '/system.slice/x.service',
    });
    await end(other);
    expect(lives(other)).toBe(true);
  });
});
