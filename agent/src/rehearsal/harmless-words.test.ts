// SPDX-License-Identifier: Apache-2.0
/** The command line of a second VMM: what it makes is elsewhere, its memory is private, and all else is as it was, or refused. */
import { describe, expect, it } from 'vitest';
import { harmlessWords } from './harmless-words.ts';

const monitor = '/run/vm/qmp';
const own = ['-qmp', `unix:${monitor},server=on,wait=off`];

const of = (words: readonly string[], backends: string[] = [], isPrivate = true) =>
  harmlessWords({
    words: [...own, ...words],
    monitor,
    backends: new Set(backends),
    directory: '/run/r/0',
    isPrivate,
  });

const rest = (words: readonly string[]) => of(words).words.slice(own.length);

describe('a second VMM', () => {
  it('makes its sockets and files elsewhere, and opens everything else as the first', () => {
    const words = [
      ...['-name', 'vm', '-nodefaults', '-kernel', '/boot/vmlinuz', '-drive', 'file=/srv/d.qcow2,if=virtio'],
      ...['-blockdev', '{"driver":"qcow2","node-name":"a","file":{"driver":"file","filename":"/srv/e"}}'],
      ...['-chardev', 'socket,id=c,path=/run/vm/console,server=on,wait=off,logfile=/var/log/vm'],
      ...[
        '-vnc',
        'unix:/run/vm/vnc',
        '-pidfile',
        '/run/vm.pid',
        '-netdev',
        'user,id=n,hostfwd=tcp::2222-:22',
      ],
    ];
    const made = of(words);
    expect(made.monitor).toBe('/run/r/0/made0');
    expect(made.words).toEqual([
      ...['-qmp', 'unix:/run/r/0/made0,server=on,wait=off'],
      ...words.slice(0, 10),
      'socket,id=c,path=/run/r/0/made1,server=on,wait=off,logfile=/run/r/0/made2',
      ...['-vnc', 'unix:/run/r/0/made3', '-pidfile', '/run/r/0/made4', '-netdev', words.at(-1)],
    ]);
    expect(rest(['-run-with', 'async-teardown=on'])).toEqual(['-run-with', 'async-teardown=on']);
    expect(made).toMatchObject({ taps: [], left: [] });
  });

  it('has a private view of its memory, whatever the words said', () => {
    const private_ = 'prealloc=off,share=off,readonly=on,rom=off,reserve=off';
    const file = 'memory-backend-file,id=m,mem-path=/proc/self/fd/3,size=1G,share=on,prealloc=on';
    expect(of(['-object', file], ['m'])).toMatchObject({
      words: [...of([]).words, '-object', `${file},${private_}`, '-overcommit', 'mem-lock=off'],
      left: ['its memory is not filled or locked beforehand'],
    });
    const json = '{"qom-type":"memory-backend-file","id":"m","mem-path":"/x","share":true}';
    expect(JSON.parse(of(['-object', json], ['m']).words.at(-1) ?? '')).toMatchObject({
      ...{ share: false, readonly: true, rom: 'off', 'mem-path': '/x' },
    });
    // An older QEMU does not know two of them.
    expect(of(['-object', 'memory-backend-file,id=m,mem-path=/x'], ['m'], false).words.at(-1)).toBe(
      'memory-backend-file,id=m,mem-path=/x,prealloc=off,share=off,reserve=off',
    );
  });

  it.each([
    'qom-type=memory-backend-file,id=m,mem-path=/x',
    'id=m,mem-path=/x,share=on,qom-type=memory-backend-file',
  ])('has one wherever the kind stands: %s', (object) => {
    expect(of(['-object', object], ['m']).words.at(-1)).toBe(
      `${object},prealloc=off,share=off,readonly=on,rom=off,reserve=off`,
    );
  });

  it('opens no file of memory that is not handed to it, and takes no pages of hugetlbfs', () => {
    expect(
      rest(['-object', 'memory-backend-file,id=m,mem-path=/dev/hugepages,size=1G,share=on,align=2M']),
    ).toEqual([
      '-object',
      'id=m,size=1G,share=on,prealloc=off,share=off,reserve=off,qom-type=memory-backend-ram',
    ]);
    const json = '{"qom-type":"memory-backend-file","id":"m","size":9,"mem-path":"/proc/self/fd/3"}';
    expect(JSON.parse(rest(['-object', json])[1] ?? '')).toEqual({
      ...{ 'qom-type': 'memory-backend-ram', id: 'm', size: 9 },
      ...{ prealloc: false, share: false, reserve: false },
    });
    expect(rest(['-object', 'memory-backend-memfd,id=m,size=1G,hugetlb=on,hugetlbsize=2M'])[1]).toBe(
      'memory-backend-memfd,id=m,size=1G,hugetlb=on,hugetlbsize=2M,prealloc=off,hugetlb=off',
    );
    expect(
      JSON.parse(rest(['-object', '{"qom-type":"memory-backend-memfd","id":"m","hugetlb":true}'])[1] ?? ''),
    ).toMatchObject({ hugetlb: false });
  });

  it('has a tap of the same name, without scripts', () => {
    const made = of(['-netdev', 'tap,id=n,ifname=tap0,queues=2,script=/etc/up', '-nic', 'tap,ifname=tap1']);
    expect(made.taps).toEqual([
      { name: 'tap0', queues: 2 },
      { name: 'tap1', queues: 1 },
    ]);
    expect(made.words.at(-1)).toBe('tap,ifname=tap1,script=no,downscript=no');
    expect(made.left).toEqual(['its tap is another one, and is on no bridge']);
  });

  it.each<[string, string[], string]>([
    ['a device that there is once', ['-device', 'vfio-pci,host=01:00.0'], 'its device vfio-pci'],
    ['a vhost device', ['-device', 'vhost-vsock-pci,guest-cid=3'], 'its device vhost-vsock-pci'],
    ['a socket of another program', ['-chardev', 'socket,id=c,path=/run/virtiofs'], '/run/virtiofs'],
    ['a server elsewhere', ['-chardev', 'socket,id=c,host=a,port=1'], 'it connects to a'],
    ['a FIFO', ['-serial', 'pipe:/run/vm/p'], 'it connects to pipe:/run/vm/p'],
    ['a pipe', ['-chardev', 'pipe,id=c,path=/run/vm/p'], 'its character device pipe'],
    ['a descriptor', ['-netdev', 'tap,id=n,fd=5'], 'a descriptor was handed to it (-netdev)'],
    ['a descriptor in JSON', ['-netdev', '{"type":"tap","id":"n","fds":"5:6"}'], 'a descriptor was handed'],
    ['a set of descriptors', ['-add-fd', 'fd=3,set=1'], 'a second VMM does with -add-fd'],
    ['a helper', ['-netdev', 'bridge,id=n,br=br0'], 'its network bridge'],
    ['a helper for a tap', ['-netdev', 'tap,id=n,helper=/usr/lib/h'], 'from a helper'],
    ['a shared network', ['-netdev', 'vhost-user,id=n,chardev=c'], 'its network vhost-user'],
    ['a disk of a server', ['-drive', 'file=nbd://host/disk,format=raw'], 'its disk nbd://host/disk'],
    ['one in JSON', ['-blockdev', '{"file":{"driver":"nbd"},"driver":"raw"}'], 'opened by the driver nbd'],
    ['one as a word', ['rbd:pool/disk'], 'its disk rbd:pool/disk'],
    ['a temporary disk', ['-drive', 'file=/d,snapshot=on'], 'temporary file'],
    ['an option that is not known', ['-readconfig', '/etc/vm.cfg'], 'a second VMM does with -readconfig'],
    ['all disks temporary', ['-snapshot'], 'a second VMM does with -snapshot'],
    ['a path that is not absolute', ['-pidfile', 'vm.pid'], 'the path vm.pid'],
    ['a log that is not', ['-chardev', 'null,id=c,logfile=vm.log'], 'the path vm.log'],
    ['a window', ['-display', 'gtk'], 'its display gtk'],
    ['sound', ['-audiodev', 'pa,id=a'], 'its sound pa'],
    ['a TPM', ['-tpmdev', 'passthrough,id=t'], 'its TPM passthrough'],
    [
      'a kind of disk that is not named',
      ['-blockdev', 'nbd,node-name=n,server.type=unix,server.path=/run/nbd'],
      'the driver nbd',
    ],
    ['one in JSON as QEMU reads it', ['-blockdev', "{'driver':'nbd','node-name':'n'}"], 'how QEMU reads {'],
    ['a disk behind an option without a value', ['-mem-prealloc', 'nbd:unix:/run/nbd'], 'its disk nbd:'],
    ['another one', ['-semihosting', 'ssh://host/disk'], 'its disk ssh:'],
    ['a disk that was handed to it', ['-drive', 'file=/dev/fd/3,format=raw'], 'a descriptor was handed'],
    ['one as a word', ['/proc/self/fd/3'], 'a descriptor was handed'],
    ['a disk with a server in JSON in its name', ['-drive', 'file=json:{"driver":"nbd"}'], 'is no file'],
    ['a directory as a disk', ['-cdrom', 'fat:rw:/srv'], 'is no file'],
    ['a disk that is repaired when it is opened', ['-blockdev', 'driver=vhdx,file=f'], 'the driver vhdx'],
    ['one that is logged', ['-blockdev', 'driver=blklogwrites,file=f,log=l'], 'the driver blklogwrites'],
    ['a value that is set later', ['-set', 'chardev.c.path=/run/vm/console'], 'a second VMM does with -set'],
    ['another root', ['-run-with', 'chroot=/srv'], 'its root or user chroot'],
    ['a display on a socket', ['-display', 'vnc=unix:/run/vm/vnc'], 'its display of the usual kind'],
    ['a window in JSON', ['-display', '{"type":"gtk"}'], 'its display gtk'],
    ['a display of a device', ['-display', 'egl-headless'], 'its display egl-headless'],
    ['a display on a relative path', ['-vnc', 'unix:vnc'], 'the path of its socket unix:vnc'],
    ['another one', ['-spice', 'unix=on,addr=spice'], 'its display spice unix=on'],
    ['memory of a display', ['-device', 'virtio-gpu-pci,blob=true'], 'its device virtio-gpu-pci with blob'],
    ['a file of objects', ['-object', 'filter-dump,id=f,netdev=n,file=net.pcap'], 'the path net.pcap'],
    ['an object that is not known', ['-object', 'new-thing,id=n'], 'its object new-thing'],
    [
      'one in an object',
      ['-object', '{"qom-type":"new-thing","id":"n","x":{"qom-type":"iothread"}}'],
      'its object new-thing',
    ],
    ['an encrypted guest', ['-object', 'sev-guest,id=s'], 'its object sev-guest'],
    [
      'a device in an object',
      ['-device', '{"driver":"vfio-pci","x":{"driver":"nvme"}}'],
      'its device vfio-pci',
    ],
    [
      'a device of the host',
      ['-device', 'virtio-input-host-pci,evdev=/dev/input/event1'],
      'its device virtio-input-host-pci',
    ],
    ['a path of a device', ['-device', 'new-device,socket=/run/vm/s'], 'it uses /run/vm/s (-device socket)'],
    ['a path that is set for all', ['-global', 'new-device.socket=/run/vm/s'], 'it uses /run/vm/s (-global'],
    ['virtiofs', ['-device', 'vhost-user-fs-pci,chardev=c,tag=t'], 'its device vhost-user-fs-pci'],
    [
      'a shared directory of another program',
      ['-fsdev', 'proxy,id=p,socket=/run/p'],
      'its shared directory proxy',
    ],
    ['a trace', ['-trace', 'enable=x,file=trace'], 'it writes a trace'],
    ['a device tree', ['-machine', 'virt,dumpdtb=tree'], 'it writes its device tree'],
    ['a terminal with a name', ['-chardev', 'pty,id=c,path=/run/vm/pty'], 'it uses /run/vm/pty'],
    ['a file that is read', ['-chardev', 'file,id=c,path=/x,input-path=/y'], 'its input /y'],
    [
      'a network of another program',
      ['-netdev', 'stream,id=n,addr.type=unix,addr.path=/run/passt'],
      'its network stream',
    ],
    ['an input device', ['-object', 'input-linux,id=i,evdev=/dev/input/event1'], 'its object input-linux'],
  ])('is not started with %s', (_what, words, why) => {
    expect(() => of(words)).toThrow(why);
  });

  it('is not started where its monitor cannot be told from others', () => {
    expect(() =>
      harmlessWords({
        words: ['-qmp', 'unix:qmp,server=on'],
        monitor,
        backends: new Set(),
        directory: '/r',
        isPrivate: true,
      }),
    ).toThrow('the path of its monitor, /run/vm/qmp, is not on its command line');
  });
});
