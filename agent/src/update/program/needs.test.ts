// SPDX-License-Identifier: Apache-2.0
/** What a machine waits for in the next kernel, found out of a VMM that runs and of how the host boots. */
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Need, VmmFacts } from '../../adoption/vmm-facts.ts';
import { mountUnitOf } from './host-mounts.ts';
import { type MadeUpVmm, MadeUpVmmProc } from './made-up-vmm.fixture.ts';
import { inOrder, needWords } from './needs.ts';
import { vmmFacts } from './vmm-facts.ts';

let proc: MadeUpVmmProc;
beforeEach(() => {
  proc = new MadeUpVmmProc();
});
afterEach(() => proc[Symbol.dispose]());

/** Writes a file of the host. */
function write(path: string, text = ''): void {
  const at = join(proc.root, path);
  mkdirSync(dirname(at), { recursive: true });
  writeFileSync(at, text);
}

/** Makes a link in the host. */
function link(path: string, to: string): void {
  const at = join(proc.root, path);
  mkdirSync(dirname(at), { recursive: true });
  symlinkSync(to, at);
}

const look = (vmm: MadeUpVmm = {}): Promise<VmmFacts> => vmmFacts(proc.paths, proc.addVmm(vmm));
const drive = (path: string): MadeUpVmm => ({ words: ['-drive', `if=virtio,file=${path}`] });
const mounted = (...points: string[]): Need[] => points.map((what) => ({ kind: 'mounted', what }));

describe('a mount', () => {
  it('on which a file is that its words name is needed, also where it is of the root’s own device', async () => {
    proc.mounted('/srv/data');
    write('srv/data/x.img');
    write('etc/fstab', '# mounts\n/dev/vdb  /srv/data/\text4 defaults 0 2\n');
    expect(await look(drive('/srv/data/x.img'))).toMatchObject({
      needs: mounted('/srv/data'),
      obstacle: null,
    });
  });

  it.each<[string, MadeUpVmm]>([
    ['its program', { program: '/srv/data/qemu' }],
    ['its working directory', { directory: '/srv/data' }],
    ['its monitor, which is not there yet', { monitor: '/srv/data/new/qmp' }],
  ])('is needed for %s', async (_what, vmm) => {
    proc.mounted('/srv/data');
    write('srv/data/qemu');
    write('etc/fstab', '/dev/vdb /srv/data ext4 nofail 0 2\n');
    expect(await look(vmm)).toMatchObject({ needs: mounted('/srv/data'), obstacle: null });
  });

  it('is needed for a file that is open, by the name that the kernel has for it', async () => {
    const directory = dirname(proc.disk);
    proc.mounted(directory);
    write('etc/fstab', `/dev/vdb ${directory} ext4 defaults\n`);
    expect(await look({ fds: { 5: proc.disk } })).toMatchObject({
      needs: mounted(directory),
      writesRoot: false,
      obstacle: null,
    });
  });

  it('within another is waited for after that, and links lead to both', async () => {
    proc.mounted('/mnt', '/mnt/a\\040b', '/srv/other');
    write('etc/fstab', '/dev/vdb /mnt ext4\n/dev/vdc /mnt/a\\040b ext4 rw,nofail\n');
    write('mnt/a b/in/x.img');
    link('data', 'mnt/./a b');
    link('mnt/a b/disks', '../a b/in');
    expect(await look(drive('/data/disks/x.img'))).toMatchObject({
      needs: mounted('/mnt', '/mnt/a b'),
      obstacle: null,
    });
  });

  it('beside the way to a file is not needed', async () => {
    proc.mounted('/srv/dat', '/srv/data2', '/proc/sys/fs/binfmt_misc', '/dev', '/dev/pts', '/run', '/sys');
    write('srv/data/x.img');
    const words = ['-drive', 'file=/srv/guests/../data/x.img', '-serial', 'file:/dev/pts/3'];
    expect(await look({ words })).toMatchObject({ needs: [], obstacle: null });
  });

  it('is needed too where only a block node of the VMM leads through it', async () => {
    proc.mounted('/mnt');
    write('etc/fstab', '/dev/vdb /mnt ext4\n');
    write('mnt/base.qcow2');
    link('srv/base', '/mnt/base.qcow2');
    const facts = await vmmFacts(proc.paths, proc.addVmm(), [
      '/srv/base',
      '/srv/base',
      `/${'x'.repeat(5000)}`,
    ]);
    expect(facts).toMatchObject({ needs: mounted('/mnt'), obstacle: null });
  });

  it('in a circle of links ends the look, and nothing else', async () => {
    link('srv/one', 'two');
    link('srv/two', 'one');
    expect((await look(drive('/srv/one/x.img'))).needs).toEqual([]);
  });

  it.each([
    ['/srv/my-data', '/etc/systemd/system', 'srv-my\\x2ddata.mount'],
    ['/tmp', '/usr/lib/systemd/system', 'tmp.mount'],
    ['/srv/data', '/run/systemd/generator', 'srv-data.mount'],
    ['/dev/hugepages', '/lib/systemd/system', 'dev-hugepages.mount'],
  ])('comes back by a unit of its name: %s', async (point, directory, unit) => {
    proc.mounted(point);
    write(join(directory, unit), '[Mount]\n');
    expect(await look(drive(`${point}/x.img`))).toMatchObject({ needs: mounted(point), obstacle: null });
  });

  it('of shared memory comes back by the service manager itself', async () => {
    proc.mounted('/dev/shm');
    expect(await look(drive('/dev/shm/x.img'))).toMatchObject({
      needs: mounted('/dev/shm'),
      obstacle: null,
    });
  });

  const byHand = '/srv/data/x.img is on /srv/data, which no boot mounts by itself';

  it.each<[string, string, () => void]>([
    ['that somebody made by hand', byHand, () => {}],
    [
      'that /etc/fstab leaves out of a boot',
      byHand,
      () => {
        write('etc/fstab', '/dev/vdb /srv/data ext4 noauto,nofail 0 2\n');
        // It is made of that line.
        write('run/systemd/generator/srv-data.mount');
      },
    ],
    [
      'whose unit is masked',
      byHand,
      () => {
        link('etc/systemd/system/srv-data.mount', '/dev/null');
        write('usr/lib/systemd/system/srv-data.mount');
      },
    ],
    ['whose unit has another name', byHand, () => write('etc/systemd/system/srv-dat.mount')],
  ])('%s is an obstacle, and whoever brings the machine back waits for it', async (_what, obstacle, make) => {
    proc.mounted('/srv/data');
    make();
    expect(await look(drive('/srv/data/x.img'))).toMatchObject({ needs: mounted('/srv/data'), obstacle });
    proc.end(100);
    expect(
      (await look({ directory: '/', program: '/usr/bin/qemu', monitor: '/srv/data/qmp' })).obstacle,
    ).toMatch(/^\/srv\/data\/qmp is on/);
  });

  it('below /run is needed too where the host makes it, and what is in it comes after', async () => {
    proc.mounted('/run/vms');
    write('etc/fstab', 'tmpfs /run/vms tmpfs mode=0751 0 0\n');
    const facts = await look({ monitor: '/run/vms/one/qmp', words: ['-pidfile', '/run/vms/one/pid'] });
    expect(facts).toMatchObject({ needs: mounted('/run/vms'), obstacle: null });
    expect(facts.directories.map(({ path }) => path)).toEqual(['/run/vms', '/run/vms/one']);
  });

  it.each<[string, MadeUpVmm]>([
    ['/run/user/1000/disk.img', drive('/run/user/1000/disk.img')],
    ['/run/user/1000/new/log', { words: ['-D', '/run/user/1000/new/log'] }],
    ['its working directory /run/user/1000', { directory: '/run/user/1000' }],
  ])('of a user’s session below /run is an obstacle: %s', async (what, vmm) => {
    // logind makes it when the user comes.
    proc.mounted('/run/user/1000');
    write('run/user/1000/disk.img');
    expect((await look(vmm)).obstacle).toBe(`${what} is on /run/user/1000, which no boot mounts by itself`);
  });

  it('that hides a part of /run later is an obstacle too: its sockets would be gone', async () => {
    proc.mounted('/run/user/1000');
    expect((await look({ monitor: '/run/user/1000/qmp' })).obstacle).toBe(
      '/run/user/1000/qmp is on /run/user/1000, which no boot mounts by itself',
    );
  });

  it('that is made as somebody looks there comes back', async () => {
    proc.mounted('/srv/data');
    write('etc/fstab', '/dev/vdb /srv/data ext4 noauto,x-systemd.automount\n');
    expect(await look(drive('/srv/data/x.img'))).toMatchObject({
      needs: mounted('/srv/data'),
      obstacle: null,
    });
  });
});

describe('a device', () => {
  /** Device nodes of this computer stand for the host's. */
  const present = (...paths: string[]): Need[] => paths.map((what) => ({ kind: 'present', what }));

  it('that it has open is needed', async () => {
    const node = join(proc.root, 'dev/kvm');
    symlinkSync('/dev/zero', node);
    expect(await look({ fds: { 5: node, 6: node } })).toMatchObject({ needs: present(node), obstacle: null });
  });

  it('that its words name by a link is needed by that, as the number may be another next time', async () => {
    link('dev/disk/by-id/one', '/dev/zero');
    link('dev/mapper/vg-lv', '/dev/full');
    const words = ['-drive', 'file=/dev/disk/by-id/one', '-blockdev', '{"filename":"/dev/mapper/vg-lv"}'];
    const facts = await look({ words, fds: { 5: join(proc.root, 'dev/disk/by-id/one') } });
    expect(facts).toMatchObject({
      needs: present('/dev/mapper/vg-lv', '/dev/disk/by-id/one'),
      nodes: [{ path: '/dev/disk/by-id/one', mode: 0o666 }],
      obstacle: null,
    });
  });

  it.each(['/dev/../home/x', '/dev/shm/x', '/dev/pool/x'])(
    'is not given away by a link of a user’s: %s',
    async (path) => {
      link(path.replace('/dev/..', '').slice(1), '/dev/zero');
      if (path === '/dev/pool/x') chmodSync(join(proc.root, 'dev/pool'), 0o777);
      const { nodes } = await look({ words: ['-append', path], fds: { 5: '/dev/zero' } });
      expect(nodes.map((node) => node.path)).not.toContain(path);
    },
  );

  /** The name decides, and a made-up process has no other devices than those of this computer. */
  const loop = '/dev/loop7';

  it.skipIf(!existsSync(loop))(
    'that is there some time before it is ready is an obstacle, unless a link to it is named',
    async () => {
      expect((await look({ fds: { 5: loop } })).obstacle).toBe(`its device ${loop} is set up later`);
      proc.end(100);
      link('dev/disk/by-uuid/7', loop);
      const facts = await look({ words: ['-drive', 'file=/dev/disk/by-uuid/7'], fds: { 5: loop } });
      expect(facts).toMatchObject({ needs: present('/dev/disk/by-uuid/7'), obstacle: null });
    },
  );

  it.each(['/dev/fd/9', '/dev/stdout'])('is none behind %s, a link to a descriptor', async (path) => {
    if (path === '/dev/fd/9') link('dev/fd/9', '/dev/zero');
    else link('dev/stdout', '/dev/zero');
    expect(await look(drive(path))).toMatchObject({
      needs: [],
      obstacle: `${path} is a link that is made later`,
    });
  });
});

describe('a network interface', () => {
  const net = (options: string): MadeUpVmm => ({ words: ['-netdev', options] });
  const named = (what: string): Need[] => [{ kind: 'interface', what }];

  it.each<[string, string, Need[]]>([
    ['of a tap that outlives QEMU', 'tap,id=n,ifname=tap0,script=no', named('tap0')],
    ['of a tap that QEMU makes', 'tap,id=n,ifname=tap1,script=no', []],
    ['that is not there', 'tap,id=n,ifname=tap2,script=no', []],
    ['that cannot be one', 'tap,id=n,ifname=../../x/tap0,script=no', []],
    ['of a tap that was handed to it', 'tap,id=n,fd=9,ifname=tap0', []],
    ['that is a bridge', 'bridge,id=n,br=lan', named('lan')],
    ['that is the usual bridge', '{"type":"bridge","id":"n"}', named('br0')],
    ['that is the bridge of a helper', 'tap,id=n,helper=/usr/bin/helper,br=lan', named('lan')],
    ['of another network', 'user,id=n,helper=/usr/bin/helper', []],
  ])('%s is a need or not: %s', async (_what, options, needs) => {
    write('sys/class/net/tap0/tun_flags', '0x1802\n');
    write('sys/class/net/tap1/tun_flags', '0x1002\n');
    expect(await look(net(options))).toMatchObject({ needs, obstacle: null });
  });
});

it('needs are in order, each once, and in words', () => {
  const needs: Need[] = [
    { kind: 'profile', what: 'libvirt-1 (enforce)' },
    { kind: 'interface', what: 'br0' },
    { kind: 'present', what: '/dev/kvm' },
    { kind: 'mounted', what: '/srv/data' },
    { kind: 'present', what: '/dev/kvm' },
    { kind: 'mounted', what: '/srv' },
  ];
  expect(inOrder(needs).map(needWords)).toEqual([
    '/srv to be mounted',
    '/srv/data to be mounted',
    '/dev/kvm',
    'the network interface br0',
    'the security profile libvirt-1 (enforce)',
  ]);
});

it('units of mounts are called as the service manager calls them', () => {
  expect(['/srv//my data', '/.hidden/a_b:c.d', '/ä'].map(mountUnitOf)).toEqual([
    'srv-my\\x20data.mount',
    '\\x2ehidden-a_b:c.d.mount',
    '\\xc3\\xa4.mount',
  ]);
});
