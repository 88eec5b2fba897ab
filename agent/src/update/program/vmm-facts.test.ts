// SPDX-License-Identifier: Apache-2.0
/** What is found out of a running VMM for its program, and which machines are left to the agent. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { VmmFacts } from '../../adoption/vmm-facts.ts';
import { type MadeUpVmm, MadeUpVmmProc } from './made-up-vmm.fixture.ts';
import { profileObstacle } from './profile-access.ts';
import { vmmFacts } from './vmm-facts.ts';

const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];

let proc: MadeUpVmmProc;
/** A directory on another file system than the made-up root. */
let elsewhere: string;

beforeEach(() => {
  proc = new MadeUpVmmProc();
  elsewhere = mkdtempSync(join(tmpdir(), 'luo-elsewhere-'));
  writeFileSync(join(elsewhere, 'x.img'), '');
  symlinkSync(elsewhere, join(proc.root, 'data'));
});
afterEach(() => {
  proc[Symbol.dispose]();
  rmSync(elsewhere, { recursive: true });
});

const look = (vmm: MadeUpVmm = {}): Promise<VmmFacts> => vmmFacts(proc.paths, proc.addVmm(vmm));

const svirt =
  "system_u:system_r:svirt_t:s0:c1,c2, which is not AppArmor's: only a profile of AppArmor can be kept";

/** Its path has 9 bytes more. */
const longMonitor = (bytes: number): MadeUpVmm => ({ monitor: `/run/vms/${'x'.repeat(bytes)}` });

describe('of a VMM is found', () => {
  it('as whom it runs, and within which limits, by the numbers of the kernel', async () => {
    const facts = await look();
    expect(facts).toMatchObject({ groups: [36, 104], umask: 0o027, obstacle: null, writesRoot: false });
    expect(facts.limits.map(({ number }) => number)).toEqual(Array.from({ length: 16 }, (_, each) => each));
    expect(facts.limits[3]).toEqual({ number: 3, soft: '8388608', hard: 'unlimited' });
    expect(facts.limits[6]).toEqual({ number: 6, soft: '3781', hard: '3782' });
    expect(facts.limits[7]).toEqual({ number: 7, soft: '1024', hard: '524288' });
    expect(facts.limits[15]).toEqual({ number: 15, soft: 'unlimited', hard: 'unlimited' });
  });

  it.each([
    [['-object', 'memory-backend-memfd,id=m,size=4G,share=on,prealloc=on'], 4096],
    [['-object', '{"qom-type":"memory-backend-memfd","id":"m","size":4,"prealloc":true}'], 4096],
    [['-mem-prealloc'], 4096],
    [['-overcommit', 'mem-lock=on'], 4096],
    [['-overcommit', 'mem-lock=on-fault'], 1024],
    [['-object', 'memory-backend-memfd,id=m,size=4G,prealloc=off'], 1024],
    [['-object', 'memory-backend-memfd,id=m,size=4G'], 1024],
  ])('how much memory it fills before it listens: %j', async (words, filledBytes) => {
    const status = 'Umask:\t0022\nVmSize:\t       4 kB\nVmLck:\t       1 kB\nGroups:\t\n';
    expect(await look({ words, status })).toMatchObject({ filledBytes });
  });

  it('the variables that matter, and a usual PATH where it has none', async () => {
    const environment = ['SECRET=x', 'HOME=/home/vm', 'XPATH=/no', 'RUNTIME_DIRECTORY=/run/vms/one', 'LANG='];
    expect((await look({ environment })).variables).toEqual([
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin',
      'LANG=',
      'HOME=/home/vm',
      'RUNTIME_DIRECTORY=/run/vms/one',
    ]);
  });

  it('of an endless environment the beginning only', async () => {
    const environment = [
      'PATH=/bin',
      'A='.padEnd(2 * 1024 * 1024, 'x'),
      'LANG=C',
      `HOME=${'/x'.repeat(4096)}`,
    ];
    expect((await look({ environment })).variables).toEqual(['PATH=/bin']);
  });

  it('which devices it has open, with their modes', async () => {
    const node = join(proc.root, 'dev/kvm');
    symlinkSync('/dev/zero', node);
    const { nodes } = await look({ fds: { 1: node, 5: node, 6: '/dev/null', 7: '/dev/pts/3', 8: node } });
    expect(nodes).toEqual([{ path: node, mode: 0o666, uid: expect.any(Number), gid: expect.any(Number) }]);
  });

  it('the profile of AppArmor that confines it, which its program waits for', async () => {
    const words = ['-netdev', 'bridge,id=n,br=br0'];
    expect(await look({ words, label: 'libvirt-1 (enforce)\n' })).toMatchObject({
      profile: { name: 'libvirt-1', mode: 'enforce' },
      needs: [
        { kind: 'interface', what: 'br0' },
        { kind: 'profile', what: 'libvirt-1 (enforce)' },
      ],
    });
    proc.end(100);
    expect(await look({ label: 'unconfined\n' })).toMatchObject({ profile: null, needs: [] });
    proc.end(100);
    expect(await look({ label: 'system_u:system_r:svirt_t:s0' })).toMatchObject({ profile: null, needs: [] });
  });

  it('whether AppArmor lets it listen where it is given its state', async () => {
    const label = 'libvirt-1 (enforce)\n';
    const asked = join(proc.root, 'sys/kernel/security/apparmor/.access');
    const denied = 'its security profile libvirt-1 (enforce) does not let it make /run/luo-carrier/0/main, ';
    for (const allowed of ['0000ffed', '0000fffd', '0000ffef', '00000000']) {
      const { obstacle, unkept } = await look({ label, allowed });
      expect([obstacle, unkept]).toEqual([obstacle, obstacle]);
      expect(obstacle).toBe(`${denied}where it would be given its state`);
      expect(readFileSync(asked, 'latin1')).toContain('label\0libvirt-1\0\u0002/run/luo-carrier/0/main ');
      proc.end(100);
    }
    expect(await look({ label, allowed: '00000012' })).toMatchObject({ obstacle: null, unkept: null });
    proc.end(100);
    expect(await look({ label: 'libvirt-1 (complain)\n', allowed: '00000000' })).toMatchObject({
      ...{ obstacle: null, unkept: null, profile: { name: 'libvirt-1', mode: 'complain' } },
    });
    const profile = { name: 'libvirt-1', mode: 'enforce' as const };
    proc.end(100);
    await look({ label, allowed: '00000000' });
    expect(await profileObstacle(proc.directory, profile, ['/run/rehearsal-1/0/made0'])).toBe(
      'its security profile libvirt-1 (enforce) does not let it make /run/rehearsal-1/0/made0, where it would be rehearsed',
    );
    expect(readFileSync(asked, 'latin1')).toContain('/run/rehearsal-1/0/made0 ');
    proc.end(100);
    const vmm = proc.addVmm({ label });
    rmSync(asked);
    expect((await vmmFacts(proc.paths, vmm)).unkept).toBe(
      'what its security profile libvirt-1 (enforce) allows cannot be asked: ENOENT',
    );
  });

  it('which directories below /run it needs, outermost first, without links', async () => {
    mkdirSync(join(proc.root, 'run/logs'));
    chmodSync(join(proc.root, 'run/logs'), 0o1777);
    symlinkSync('/run/vms', join(proc.root, 'run/link'));
    const { directories } = await look({
      words: [
        ...['-qmp', 'unix:/run/vms/one/qmp,server=on', '-D', '/var/run/logs/not/there/log'],
        ...['-chardev', '{"backend":"socket","addr":{"path":"/run/link/one/serial"}}'],
        ...['-pidfile', '/run/vms/../../etc/pid', '-vnc', 'unix:/run/vnc'],
      ],
    });
    expect(directories).toEqual([
      { path: '/run/vms', mode: 0o751, uid, gid },
      { path: '/run/vms/one', mode: 0o2770, uid, gid },
      { path: '/run/logs', mode: 0o1777, uid, gid },
    ]);
  });

  it('that its working directory below /run must be there', async () => {
    const { directories } = await look({ directory: '/run/vms', monitor: '/srv/qmp' });
    expect(directories.map(({ path }) => path)).toEqual(['/run/vms']);
  });

  it.each([
    ['0100002', true],
    ['0100001', true],
    ['0100000', false],
  ])('whether it writes to the root file system: flags %s', async (flags, writesRoot) => {
    const fdinfo = { 5: `pos:\t0\nflags:\t${flags}\n` };
    expect(await look({ fds: { 5: proc.disk }, fdinfo })).toMatchObject({ obstacle: null, writesRoot });
  });

  it('that it makes a socket on the root file system again', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(join(proc.root, 'srv/qmp'), resolve));
    try {
      expect((await look({ monitor: '/srv/qmp' })).writesRoot).toBe(true);
    } finally {
      server.close();
    }
  });

  it('nothing, if it ended meanwhile, procfs says something else, or no program has room for it', async () => {
    const vmm = proc.addVmm();
    await expect(vmmFacts(proc.paths, { ...vmm, startTime: '778' })).rejects.toThrow('process 100 ended');
    proc.end(100);
    await expect(look({ status: 'Umask:\t0022\n' })).rejects.toThrow('a number');
    proc.end(100);
    await expect(look({ status: 'Groups:\t\n' })).rejects.toThrow('its umask');
    proc.end(100);
    await expect(look({ limits: 'Max cpu time   unlimited   unlimited   seconds\n' })).rejects.toThrow(
      'its limits have no "Max file size"',
    );
  });
});

describe('the rights of a VMM', () => {
  const all = { CapPrm: '000001ffffffffff' };
  const root: MadeUpVmm = { uid: 0, rights: { ...all, Uid: '0\t0\t0\t0' } };

  it('are found, with what it has given up', async () => {
    const ambient = { CapInh: '0000000000003000', CapAmb: '0000000000001000', CapPrm: '0000000000001000' };
    expect(await look({ rights: { ...ambient, CapBnd: '0000000000003fff', NoNewPrivs: '1' } })).toMatchObject(
      {
        rights: {
          ...{ bounding: '0000000000003fff', inheritable: '0000000000003000', ambient: '0000000000001000' },
          noNewPrivileges: true,
        },
        unkept: null,
      },
    );
  });

  it.each<[string, MadeUpVmm]>([
    ['root with all capabilities', root],
    [
      'root with a smaller bounding set, and one beside it that is inheritable',
      {
        uid: 0,
        rights: {
          ...{ ...root.rights, CapBnd: '00000000000000ff', CapInh: '0000000000001000' },
          CapPrm: '00000000000010ff',
        },
      },
    ],
    ['a label that only gives a name', { label: 'qemu (unconfined)\n' }],
    ['a profile of AppArmor', { label: 'libvirt-1 (enforce)\n' }],
    ['its own filter of system calls', { words: ['-sandbox', 'on'], rights: { Seccomp_filters: '1' } }],
  ])('can be kept: %s', async (_what, vmm) => {
    expect((await look(vmm)).unkept).toBeNull();
  });

  it.each<[string, MadeUpVmm]>([
    [
      'it has the capabilities 0000000000001000, and would be started with 0000000000000000',
      { rights: { CapPrm: '0000000000001000' } },
    ],
    [
      'it has the capabilities 0000000000000000, and would be started with 000001ffffffffff',
      { uid: 0, rights: { Uid: '0\t0\t0\t0' } },
    ],
    ['it runs as user 64, and was started as user 0', { uid: 0, rights: all }],
    [`it is confined by the security label ${svirt}`, { label: 'system_u:system_r:svirt_t:s0:c1,c2\0' }],
    [
      'it is confined by the security label a//&b (enforce), which is of several profiles: only one can be kept',
      { label: 'a//&b (enforce)\n' },
    ],
    ['it runs as user 1, and was started as user 64', { rights: { Uid: '64\t1\t64\t64' } }],
    ['it has capabilities in its own user namespace only', { ...root, own: ['user'] }],
    ...['mnt', 'pid', 'net', 'ipc'].map((own, index): [string, MadeUpVmm] => [
      `it has its own ${['mount', 'process', 'network', 'IPC'][index]} namespace, and would not when it is started again`,
      { own: [own] },
    ]),
    [
      'a filter of system calls was set for it that it does not set itself',
      { rights: { Seccomp_filters: '1' } },
    ],
    [
      'a filter of system calls was set for it that it does not set itself',
      { words: ['-sandbox', 'off'], rights: { Seccomp_filters: '1' } },
    ],
    [
      'a filter of system calls was set for it that it does not set itself',
      { words: ['-sandbox', 'enable=on'], rights: { Seccomp_filters: '2' } },
    ],
  ])('cannot be kept, because %s', async (unkept, vmm) => {
    expect((await look(vmm)).unkept).toBe(unkept);
  });

  it('are not guessed', async () => {
    await expect(look({ rights: { CapBnd: 'all' } })).rejects.toThrow('capabilities in hexadecimal digits');
  });
});

const tap = (options: string): MadeUpVmm => ({ words: ['-netdev', `tap,id=n,${options}`] });

describe('a machine is left to the agent', () => {
  it.each<[string, (at: string) => MadeUpVmm]>([
    ['its file X/x.img is not on the root file system', (at) => ({ fds: { 5: `${at}/x.img` } })],
    [
      '/data/x.img is not on the root file system',
      () => ({ words: ['-drive', 'if=virtio,file=/data/x.img'] }),
    ],
    ['/data/new/log is not on the root file system', () => ({ words: ['-D', '/data/new/log'] })],
    ['/data/a,b is not on the root file system', () => ({ words: ['-drive', 'file=/data/a,,b,if=virtio'] })],
    [
      '/data/x.img is not on the root file system',
      () => ({ words: ['-blockdev', '{"driver":"file","node-name":"a\\"","filename":"/data/x.img"}'] }),
    ],
    ['/data/qmp is not on the root file system', () => ({ monitor: '/data/qmp' })],
    ['its program /data/x.img is not on the root file system', () => ({ program: '/data/x.img' })],
    ['its program /usr/bin/gone is not there', () => ({ program: '/usr/bin/gone' })],
    ['its working directory /data is not on the root file system', () => ({ directory: '/data' })],
    ['/dev/disk/one is a link that is made later', () => ({ words: ['-drive', 'file=/dev/disk/one'] })],
    ['its tap is set up by a script', () => tap('br=br0')],
    ['its tap is set up by a script', () => tap('ifname=tap0')],
    ['its tap is set up by a script', () => ({ words: ['-netdev', '{"type":"tap","id":"n"}'] })],
    ['it has its own mount namespace', () => ({ own: ['mnt'] })],
    ['it has its own process namespace', () => ({ own: ['pid'] })],
    ['it has its own network namespace', () => ({ own: ['net'] })],
    ['it has its own user namespace', () => ({ own: ['user'] })],
    ['it has its own IPC namespace', () => ({ own: ['ipc'] })],
    ['it has its own host name namespace', () => ({ own: ['uts'] })],
    [
      `it is confined by the security label ${svirt}`,
      () => ({ label: 'system_u:system_r:svirt_t:s0:c1,c2\0' }),
    ],
  ])('because %s', async (obstacle, vmm) => {
    mkdirSync(join(proc.root, 'dev/disk'));
    symlinkSync('../vda', join(proc.root, 'dev/disk/one'));
    expect((await look(vmm(elsewhere))).obstacle).toBe(obstacle.replace('X', elsewhere));
  });

  it('and then nothing of what it sees is made or given away on the host', async () => {
    const node = join(proc.root, 'dev/kvm');
    symlinkSync('/dev/zero', node);
    const vmm = { words: ['-qmp', 'unix:/run/vms/one/qmp'], fds: { 5: node } };
    expect(await look(vmm)).toMatchObject({ obstacle: null, nodes: [{ path: node }] });
    proc.end(100);
    const apart = await look({ ...vmm, own: ['mnt'] });
    expect(apart).toMatchObject({ nodes: [], directories: [], needs: [] });
  });

  it('not because its monitor has the longest path that a socket can have', async () => {
    expect((await look(longMonitor(98))).obstacle).toBeNull();
  });

  it('because its memory is in a file that is mounted over later, unless it is preserved', async () => {
    const file = join(elsewhere, 'ram');
    writeFileSync(file, '');
    symlinkSync(elsewhere, join(proc.root, 'dev/shm'));
    const words = ['-object', 'memory-backend-file,id=ram,mem-path=/dev/shm/ram,size=4M,share=on'];
    expect((await look({ words, way: 'whole_state' })).obstacle).toBe(
      '/dev/shm/ram is not on the root file system',
    );
    proc.end(100);
    expect((await look({ words, way: 'named_memory' })).obstacle).toBeNull();
  });

  it('because its root directory is another one', async () => {
    const vmm = proc.addVmm();
    rmSync(join(proc.directory, '1/root'));
    symlinkSync(join(proc.root, 'srv'), join(proc.directory, '1/root'));
    expect((await vmmFacts(proc.paths, vmm)).obstacle).toBe('it has another root directory');
  });
});

describe('a machine is not left to the agent', () => {
  it.each<[string, (at: string) => MadeUpVmm]>([
    ['a tap that QEMU makes by itself', () => tap('ifname=tap0,script=no,downscript=no')],
    ['a tap that was handed to it', () => tap('fd=9')],
    ['another network', () => ({ words: ['-netdev', 'user,id=n,helper=x'] })],
    ['a log on another file system as its standard error', (at) => ({ fds: { 2: `${at}/x.img` } })],
    ['no security module', () => ({})],
    ['a label that confines nothing', () => ({ label: 'unconfined\n' })],
    ['a label that only gives a name', () => ({ label: 'qemu (unconfined)\n' })],
    ['a profile of AppArmor', () => ({ label: 'libvirt-1 (enforce)\n' })],
    ['the label of what runs before the policy', () => ({ label: 'system_u:system_r:kernel_t:s0' })],
    [
      'paths of the kernel and of the host',
      () => ({ words: ['-drive', 'file=/dev/vda', '-append', 'init=/proc/x'] }),
    ],
    ['a program that it may only read', () => ({ words: ['-kernel', '/srv/disk.img'] })],
  ])('for %s', async (_what, vmm) => {
    expect((await look(vmm(elsewhere))).obstacle).toBeNull();
  });

  it.each([
    [256, null],
    [257, 'it has 257 supplementary groups, and can be started again with at most 256'],
    // As many as the kernel has room for (NGROUPS_MAX), each with as many digits as it can have.
    [65_536, 'it has 65536 supplementary groups, and can be started again with at most 256'],
  ])('of %i groups, whether it can be given them again', async (count, unkept) => {
    const groups = Array.from({ length: count }, (_, each) => 4_000_000_000 + each);
    const facts = await look({ status: `Umask:\t0022\nGroups:\t${groups.join(' ')} \n` });
    expect(facts.unkept).toBe(unkept);
    expect(facts.groups).toEqual(unkept === null ? groups : []);
  });
});
