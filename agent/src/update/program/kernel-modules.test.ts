// SPDX-License-Identifier: Apache-2.0
/** Which modules of the next kernel are loaded for a machine, and in which order. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deviceOf, KernelModules, modulesFor } from './kernel-modules.ts';
import { MadeUpVmmProc } from './made-up-vmm.fixture.ts';

const release = '7.3.4-b';
const tree = `/lib/modules/${release}`;

let proc: MadeUpVmmProc;
beforeEach(() => {
  proc = new MadeUpVmmProc();
  put(
    `${tree}/modules.dep`,
    'kernel/arch/x86/kvm/kvm-intel.ko.xz: kernel/arch/x86/kvm/kvm.ko.xz kernel/virt/lib/irqbypass.ko.xz',
    'kernel/arch/x86/kvm/kvm.ko.xz: kernel/virt/lib/irqbypass.ko.xz',
    'kernel/virt/lib/irqbypass.ko.xz:',
    'kernel/drivers/vhost/vhost_net.ko: kernel/drivers/net/tun.ko.zst kernel/virt/lib/irqbypass.ko.xz',
    'kernel/drivers/net/tun.ko.zst:',
    'updates/one.ko: updates/other.ko',
    'updates/other.ko: updates/one.ko',
    '/opt/elsewhere/extra.ko:',
  );
});
afterEach(() => proc[Symbol.dispose]());

/** A file as process 1 sees it. */
function put(path: string, ...lines: string[]): void {
  mkdirSync(dirname(join(proc.root, path)), { recursive: true });
  writeFileSync(join(proc.root, path), lines.map((line) => `${line}\n`).join(''));
}

const loaded = (names: string[], commandLine = '', of = release) =>
  new KernelModules(proc.directory, of, commandLine).instructions(names);
const paths = (names: string[], of = release): unknown[] =>
  loaded(names, '', of).map((each) => ('path' in each ? each.path.replace(`${tree}/`, '') : each));
const parametersOf = (name: string, commandLine = ''): unknown =>
  loaded([name], commandLine)
    .map((each) => ('parameters' in each ? each.parameters : each))
    .at(-1);

describe('modules', () => {
  it('are loaded behind those on which they depend, each once', () => {
    expect(paths(['kvm_intel', 'vhost_net'])).toEqual([
      'kernel/virt/lib/irqbypass.ko.xz',
      'kernel/arch/x86/kvm/kvm.ko.xz',
      'kernel/arch/x86/kvm/kvm-intel.ko.xz',
      'kernel/drivers/net/tun.ko.zst',
      'kernel/drivers/vhost/vhost_net.ko',
    ]);
    expect(paths(['one'])).toEqual(['updates/other.ko', 'updates/one.ko']);
    expect(paths(['extra'])).toEqual(['/opt/elsewhere/extra.ko']);
  });

  it('are unpacked by the kernel where their files are compressed', () => {
    expect(loaded(['vhost_net'])).toEqual([
      { does: 'module', flags: 4, path: `${tree}/kernel/drivers/net/tun.ko.zst`, parameters: '' },
      { does: 'module', flags: 4, path: `${tree}/kernel/virt/lib/irqbypass.ko.xz`, parameters: '' },
      { does: 'module', flags: 0, path: `${tree}/kernel/drivers/vhost/vhost_net.ko`, parameters: '' },
    ]);
  });

  it('that are built in, or that this kernel does not have, are not loaded', () => {
    put(`${tree}/modules.builtin`, 'kernel/drivers/net/tun.ko');
    expect(paths(['tun'])).toEqual([]);
    expect(paths(['nothing'])).toEqual([]);
    expect(paths(['tun'], '7.3.4-c')).toEqual([]);
    expect(paths(['tun'], `../modules/${release}`)).toEqual([]);
  });

  it('get the parameters of the administrator and those of the command line', () => {
    put(
      '/usr/lib/modprobe.d/50-kvm.conf',
      '# options kvm_intel never=1',
      'options kvm-intel nested=0 \\',
      ' ept=1',
    );
    put('/usr/lib/modprobe.d/60-kvm.conf', 'options kvm_intel hidden=1');
    put('/etc/modprobe.d/60-kvm.conf', '\toptions kvm_intel nested=1');
    put('/etc/modprobe.d/README', 'options kvm_intel text=1');
    expect(parametersOf('kvm_intel')).toBe('nested=0 ept=1 nested=1');
    const commandLine = 'root=/dev/vda kvm-intel.pml=0 "kvm_intel.a=b c" tun.debug=1';
    expect(parametersOf('kvm_intel', commandLine)).toBe('nested=0 ept=1 nested=1 pml=0 a=b c');
    expect(parametersOf('irqbypass', commandLine)).toBe('');
  });

  it('that the administrator has loaded by a command are left to the boot', () => {
    put('/etc/modprobe.d/kvm.conf', 'install kvm /sbin/special');
    expect(paths(['kvm_intel'])).toEqual([]);
    expect(paths(['tun'])).toEqual(['kernel/drivers/net/tun.ko.zst']);
  });
});

describe('for devices', () => {
  const used = ['/dev/kvm', '/dev/vhost-net', '/dev/vda'];

  const processor = (flags: string): void =>
    writeFileSync(join(proc.directory, 'cpuinfo'), `processor\t: 0\nflags\t\t: fpu ${flags} nx\n`);

  it('the modules are found that make them with this processor', () => {
    processor('vmx');
    expect(modulesFor(proc.directory, used)).toEqual(['kvm_intel', 'vhost_net']);
    processor('svm');
    expect(modulesFor(proc.directory, used)).toEqual(['kvm_amd', 'vhost_net']);
    expect(modulesFor(proc.directory, ['/dev/net/tun', '/dev/net/tun'])).toEqual(['tun']);
    expect(modulesFor(proc.directory, [])).toEqual([]);
  });

  it('they are found too where the running kernel has them built in', () => {
    processor('svm');
    writeFileSync(join(proc.directory, 'modules'), '');
    expect(modulesFor(proc.directory, ['/dev/kvm'])).toEqual(['kvm_amd']);
  });

  it('none makes KVM with a processor that cannot do it', () => {
    processor('sse2');
    expect(modulesFor(proc.directory, ['/dev/kvm'])).toEqual([]);
  });

  it('each is the maker of one', () => {
    expect(['kvm_intel', 'kvm_amd', 'tun', 'ext4'].map(deviceOf)).toEqual([
      '/dev/kvm',
      '/dev/kvm',
      '/dev/net/tun',
      null,
    ]);
  });
});
