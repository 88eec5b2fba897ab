// SPDX-License-Identifier: Apache-2.0
/** In which unit a new VMM is started, whether the old one's may end, and how a start is ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RenewalUnits, renewalUnits } from './renewal-units.ts';

let directory: string;
let units: RenewalUnits;
const session = 'machine:one';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-renewal-units-'));
  const paths = { sys: join(directory, 'sys'), proc: join(directory, 'proc'), carrier: '/usr/lib/carrier' };
  units = renewalUnits(native, paths, '/nowhere');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A process in a unit, as the kernel shows it. */
function put(pid: number, group: string, { program = '/usr/bin/qemu', parent = 1 } = {}): void {
  const own = join(directory, 'proc', String(pid));
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'cgroup'), `0::${group}\n`);
  writeFileSync(join(own, 'status'), `Name:\tx\nPPid:\t${parent}\n`);
  symlinkSync(program, join(own, 'exe'));
  const list = join(directory, 'sys/fs/cgroup', group, 'cgroup.procs');
  mkdirSync(dirname(list), { recursive: true });
  writeFileSync(list, `${pid}\n`, { flag: 'a' });
}

const first = '/machine.slice/luo-machine-one.service';
const second = '/machine.slice/luo-machine-one.second.service';

describe('a new VMM', () => {
  it.each([
    [first, { second: true, ownUnit: true }],
    [second, { second: false, ownUnit: true }],
    ['/machine.slice/qemu-1.scope', { second: false, ownUnit: false }],
  ])('is beside the old one in %s', async (group, places) => {
    put(4711, group);
    expect(await units.places(session, 4711, null)).toEqual(places);
  });

  it('has no unit where another process is in that', async () => {
    put(4711, first);
    put(4712, second);
    await expect(units.places(session, 4711, null)).rejects.toThrow(
      'luo-machine-one.second.service has process 4712 already',
    );
  });

  it('is not started where other processes would end with the old one', async () => {
    put(4711, first);
    put(4710, first, { program: '/usr/lib/carrier' });
    expect(await units.places(session, 4711, null)).toMatchObject({ ownUnit: true });
    put(4712, first);
    await expect(units.places(session, 4711, null)).rejects.toThrow(
      'its unit luo-machine-one.service has other processes, which would end with it',
    );
  });

  it('is not started where it is unknown what the end of the old one’s unit does', async () => {
    put(4711, '/system.slice/qemu.service');
    await expect(units.places(session, 4711, null)).rejects.toThrow('ENOENT');
  });
});

describe('a start that is ended', () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });
  const start = (): ChildProcess & { readonly pid: number } => {
    const child = spawn('sleep', ['1000']);
    children.push(child);
    return Object.assign(child, { pid: child.pid ?? 0 });
  };
  const command = { program: '/usr/bin/qemu', words: [], directory: '/', uid: 0, gid: 0 };
  const unit = { session, command, facts: null, beside: { second: true } };

  it('loses the carrier’s worker, and neither the carrier nor its VMM', async () => {
    const [keeper, worker, vmm] = [start(), start(), start()];
    const carrier = { program: '/usr/lib/carrier' };
    put(keeper.pid, second, carrier);
    put(worker.pid, second, { ...carrier, parent: keeper.pid });
    put(vmm.pid, second, { parent: worker.pid });
    const ended = once(worker, 'exit');
    await units.interrupt(unit);
    await ended;
    expect([keeper, worker, vmm].map(({ signalCode }) => signalCode)).toEqual([null, 'SIGKILL', null]);
  });

  it('may not have begun yet', async () => {
    await expect(units.interrupt(unit)).resolves.toBeUndefined();
  });
});
