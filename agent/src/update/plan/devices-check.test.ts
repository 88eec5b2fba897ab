// SPDX-License-Identifier: Apache-2.0
/** Whether the next kernel makes the devices that machines need, as its files say. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { realHostPaths } from '../../host/paths.ts';
import type { PlannedMachine } from '../../interface/agent.generated.ts';
import { MadeUpVmmProc } from '../program/made-up-vmm.fixture.ts';
import { devicesCheck } from './devices-check.ts';
import { plannedMachine } from './planned-machine.fixture.ts';

const release = '7.3.4-m';
const tree = `/lib/modules/${release}`;

let proc: MadeUpVmmProc;
beforeEach(() => {
  proc = new MadeUpVmmProc();
});
afterEach(() => proc[Symbol.dispose]());

/** A file as process 1 sees it. */
function put(path: string, ...lines: string[]): void {
  mkdirSync(dirname(join(proc.root, path)), { recursive: true });
  writeFileSync(join(proc.root, path), lines.map((line) => `${line}\n`).join(''));
}

const configuredAs = (...lines: string[]): void => put(`/boot/config-${release}`, 'CONFIG_X=y', ...lines);

/** KVM with its two modules, as a distribution has it. */
function putModules(): void {
  put(`${tree}/modules.dep`, 'kernel/kvm-amd.ko.xz: kernel/kvm.ko.xz', 'kernel/kvm.ko.xz:');
  put(`${tree}/kernel/kvm-amd.ko.xz`);
  put(`${tree}/kernel/kvm.ko.xz`);
}

const machine = (name: string, leave = false): PlannedMachine => plannedMachine(name, { leave });

/** With vm1 and vm2, of which each needs KVM, and vm3, which needs nothing. */
const checked = (machines = [machine('vm1'), machine('vm2'), machine('vm3')]) =>
  devicesCheck(
    { paths: { ...realHostPaths, proc: proc.directory, boot: join(proc.root, 'boot') } },
    {
      ...{ image: { release }, commandLine: '', machines },
      vmms: new Map([
        ['machine:vm1', { modules: ['kvm_amd'] }],
        ['machine:vm2', { modules: ['kvm_amd', 'tun'] }],
        ['machine:vm3', { modules: [] }],
      ]),
    },
  );

it('passes for a kernel that has them built in', async () => {
  configuredAs('CONFIG_KVM_AMD=y', 'CONFIG_TUN=y');
  expect(await checked()).toEqual(['pass', `${release} makes every device that a machine needs`]);
});

it('passes for a kernel with the modules and all on which they depend', async () => {
  configuredAs('CONFIG_KVM_AMD=m', 'CONFIG_TUN=y');
  putModules();
  expect((await checked())[0]).toBe('pass');
});

it('believes depmod where the configuration is not there', async () => {
  putModules();
  put(`${tree}/modules.builtin`, 'kernel/drivers/net/tun.ko');
  expect((await checked())[0]).toBe('pass');
});

it('fails for a kernel whose modules are not installed, with the machines that need them', async () => {
  configuredAs('CONFIG_KVM_AMD=m', 'CONFIG_TUN=y');
  expect(await checked()).toEqual([
    'fail',
    `vm1, vm2 need /dev/kvm, but its module kvm_amd is not in ${tree}. Install the modules of ${release}, choose another kernel, or leave behind what needs them`,
  ]);
});

it('fails where a module on which another depends is gone', async () => {
  configuredAs('CONFIG_KVM_AMD=m', 'CONFIG_TUN=y');
  putModules();
  rmSync(join(proc.root, `${tree}/kernel/kvm.ko.xz`));
  expect(await checked()).toEqual([
    'fail',
    expect.stringContaining(`need /dev/kvm, but ${tree}/kernel/kvm.ko.xz is missing.`),
  ]);
});

it('fails for a kernel that is built without them', async () => {
  configuredAs('CONFIG_KVM_AMD=y');
  expect(await checked()).toEqual([
    'fail',
    expect.stringContaining(`vm2 needs /dev/net/tun, but ${release} is built without CONFIG_TUN.`),
  ]);
});

it('does not mind what only machines need that are left behind', async () => {
  configuredAs();
  expect(await checked([machine('vm1', true), machine('vm3')])).toEqual([
    'pass',
    'no machine needs a device that a module could make',
  ]);
});

it('says so where nothing is known of the kernel', async () => {
  expect(await checked()).toEqual([
    'pass',
    expect.stringContaining(`it is unknown which devices ${release} makes`),
  ]);
});
