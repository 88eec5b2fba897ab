// SPDX-License-Identifier: Apache-2.0
/** How long machines are off the network because of their bridge, as procfs and sysfs say. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { PlannedMachine } from '../../interface/agent.generated.ts';
import { MadeUpVmmProc } from '../program/made-up-vmm.fixture.ts';
import { networkCheck } from './network-check.ts';
import { plannedMachine } from './planned-machine.fixture.ts';

let host: MadeUpVmmProc;
beforeEach(() => {
  host = new MadeUpVmmProc();
});
afterEach(() => host[Symbol.dispose]());

/** A VMM that has a tap open, beside other files; none if no name is given. */
function addVmm(pid: number, tap?: string): void {
  const fds = {
    3: 'anon_inode:[eventfd]',
    4: '/dev/kvm',
    ...(tap === undefined ? {} : { 9: '/dev/net/tun' }),
  };
  const usual = 'pos:\t0\nflags:\t02104002\nmnt_id:\t27\n';
  host.add({ pid, words: ['qemu'], fds, fdinfo: { 9: `${usual}iff:\t${tap}\n` } });
}

/** A bridge with ports. @param protocol and delay in hundredths of a second, as sysfs has them */
function addBridge(name: string, protocol: number, delay: number, ports: readonly string[]): void {
  const at = (path: string): string => join(host.root, 'sys/class/net', path);
  mkdirSync(at(`${name}/bridge`), { recursive: true });
  writeFileSync(at(`${name}/bridge/stp_state`), `${protocol}\n`);
  writeFileSync(at(`${name}/bridge/forward_delay`), `${delay}\n`);
  for (const port of ports) {
    mkdirSync(at(port), { recursive: true });
    symlinkSync(`../../devices/virtual/net/${name}`, at(`${port}/master`));
  }
}

const machine = (name: string, pid: number, leave = false): PlannedMachine =>
  plannedMachine(name, { pid, leave });

const checked = (...machines: PlannedMachine[]) =>
  networkCheck({ paths: { proc: host.directory } }, { machines });

it('passes for a bridge without the spanning tree protocol', async () => {
  addVmm(7, 'tap7');
  addBridge('br0', 0, 1500, ['tap7']);
  expect(await checked(machine('vm1', 7))).toEqual([
    'pass',
    'br0 passes everything on as soon as a port is there',
  ]);
});

it.each([
  ['the kernel does it: a port listens, and then learns', 1, 1500, '30 s'],
  ['a program does it: a port learns', 2, 1500, '15 s'],
  ['its delay is short', 1, 200, '4 s'],
])('warns for a bridge with it, where %s', async (_how, protocol, delay, length) => {
  addVmm(7, 'tap7');
  addVmm(8, 'tap8');
  addBridge('br0', protocol, delay, ['tap7', 'tap8']);
  expect(await checked(machine('vm1', 7), machine('vm2', 8))).toEqual([
    'warn',
    `vm1, vm2 are off the network for ${length} more, because br0 uses the spanning tree protocol. With a forward delay of 0 a bridge passes everything on at once`,
  ]);
});

it('passes for a bridge with it and without a delay, as libvirt makes them', async () => {
  addVmm(7, 'tap7');
  addBridge('virbr0', 1, 0, ['tap7']);
  expect((await checked(machine('vm1', 7)))[0]).toBe('pass');
});

it('has nothing to say where no machine that comes along is on a bridge', async () => {
  addVmm(6);
  addVmm(7, 'tap7');
  addVmm(8, 'tap8');
  addBridge('br0', 1, 1500, ['tap8']);
  const none = ['pass', 'no machine is on a bridge'];
  expect(await checked(machine('vm0', 6), machine('vm1', 7), machine('vm2', 8, true))).toEqual(none);
  // It ended meanwhile.
  expect(await checked(machine('vm3', 9))).toEqual(none);
});
