// SPDX-License-Identifier: Apache-2.0
/** A VMM in a made-up procfs, with a root directory that has a program, a disk, and places for sockets. */
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MadeUpProc } from '../../machines/made-up-proc.fixture.ts';
import type { KnownVmm } from './vmm-facts.ts';

const namespaces = ['mnt', 'pid', 'net', 'user', 'ipc', 'uts'];

const limits = `Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max file size             unlimited            unlimited            bytes     
Max data size             unlimited            unlimited            bytes     
Max stack size            8388608              unlimited            bytes     
Max core file size        0                    0                    bytes     
Max resident set          unlimited            unlimited            bytes     
Max processes             3781                 3782                 processes 
Max open files            1024                 524288               files     
Max locked memory         unlimited            unlimited            bytes     
Max address space         unlimited            unlimited            bytes     
Max file locks            unlimited            unlimited            locks     
Max pending signals       3781                 3781                 signals   
Max msgqueue size         819200               819200               bytes     
Max nice priority         0                    0                    
Max realtime priority     0                    0                    
Max realtime timeout      unlimited            unlimited            us        
`;

/** What differs from a VMM that the carrier can bring back. */
export interface MadeUpVmm {
  readonly words?: readonly string[];
  readonly way?: KnownVmm['way'];
  readonly program?: string;
  readonly directory?: string;
  readonly uid?: number;
  readonly monitor?: string;
  readonly environment?: readonly string[];
  readonly status?: string;
  readonly limits?: string;
  /** The label of the first security module. */
  readonly label?: string;
  /** Its control group. */
  readonly group?: string;
  /** What AppArmor says that its profile allows at any path. */
  readonly allowed?: string;
  /** Lines about its rights in its status, by their names. */
  readonly rights?: Readonly<Record<string, string>>;
  /** Namespaces of its own. */
  readonly own?: readonly string[];
  /** What its descriptors lead to. */
  readonly fds?: Readonly<Record<number, string>>;
  readonly fdinfo?: Readonly<Record<number, string>>;
}

/** As a user's program has them that nobody has confined. */
const usualRights: Readonly<Record<string, string>> = {
  Uid: '64\t64\t64\t64',
  CapInh: '0000000000000000',
  CapPrm: '0000000000000000',
  CapBnd: '000001ffffffffff',
  CapAmb: '0000000000000000',
  NoNewPrivs: '0',
  Seccomp_filters: '0',
};

/** The process's number. */
const pid = 100;

export class MadeUpVmmProc extends MadeUpProc {
  /** Its root directory, which is that of process 1. */
  readonly root = join(this.directory, 'root');
  /** Where procfs and sysfs are. */
  readonly paths = { proc: this.directory, sys: join(this.directory, 'sys') };
  /** A disk on the root file system. */
  readonly disk = join(this.root, 'srv/disk.img');

  constructor() {
    super();
    for (const name of ['usr/bin', 'srv', 'dev', 'run/vms/one'])
      mkdirSync(join(this.root, name), { recursive: true });
    chmodSync(join(this.root, 'run/vms'), 0o751);
    chmodSync(join(this.root, 'run/vms/one'), 0o2770);
    writeFileSync(join(this.root, 'usr/bin/qemu'), '');
    writeFileSync(this.disk, '');
    this.#common(1, []);
    this.mounted();
  }

  /** What is mounted, beside the root. @param points as mountinfo has them, with its escapes */
  mounted(...points: readonly string[]): void {
    const line = (point: string): string => `29 1 0:26 / ${point} rw,relatime shared:1 - ext4 /dev/vda rw\n`;
    writeFileSync(join(this.directory, '1/mountinfo'), ['/', ...points].map(line).join(''));
  }

  /** Adds the VMM. @returns it as its session's manifest has it */
  addVmm(vmm: MadeUpVmm = {}): KnownVmm {
    const { words = [], way = 'cpr', program = '/usr/bin/qemu', directory = '/', own = [] } = vmm;
    const { fds = {}, fdinfo = {}, monitor = '/run/vms/one/qmp' } = vmm;
    this.add({ pid, words: ['qemu', ...words], startTime: 777, fds: { 0: '/dev/null', ...fds }, fdinfo });
    const at = (name: string): string => join(this.directory, String(pid), name);
    rmSync(at('root'));
    this.#common(pid, own);
    const rights = Object.entries({ ...usualRights, ...vmm.rights });
    const status = vmm.status ?? 'Name:\tqemu\nUmask:\t0027\nGroups:\t36 104 \n';
    writeFileSync(at('status'), status + rights.map(([name, value]) => `${name}:\t${value}\n`).join(''));
    writeFileSync(at('cgroup'), `0::${vmm.group ?? '/init.scope'}\n`);
    writeFileSync(at('limits'), vmm.limits ?? limits);
    writeFileSync(at('environ'), (vmm.environment ?? ['LANG=C']).map((each) => `${each}\0`).join(''));
    if (vmm.label !== undefined) {
      mkdirSync(at('attr'));
      writeFileSync(at('attr/current'), vmm.label);
      // A question is written over the beginning, and what is behind it is read.
      const answers = join(this.root, 'sys/kernel/security/apparmor');
      mkdirSync(answers, { recursive: true });
      writeFileSync(join(answers, '.access'), `${' '.repeat(150)}allow 0x${vmm.allowed ?? '0000ffff'}\n`);
    }
    const command = { program, words: [...words], directory, uid: vmm.uid ?? 64, gid: 65 };
    return { pid, startTime: '777', way, monitor, command };
  }

  #common(process: number, own: readonly string[]): void {
    const at = (name: string): string => join(this.directory, String(process), name);
    mkdirSync(at('ns'), { recursive: true });
    for (const name of namespaces)
      symlinkSync(`${name}:[${own.includes(name) ? 4026532999 : 4026531832}]`, at(`ns/${name}`));
    symlinkSync(this.root, at('root'));
  }
}
