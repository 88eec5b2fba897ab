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
    expect(JSON.parse(rest(['-object', json])[1] ?? '')).toMatchObject({
      ...{ share: false, readonly: true, rom: 'off', 'mem-path': '/x' },
    });
    // An older QEMU does not know two of them.
    expect(of(['-object', 'memory-backend-file,id=m,mem-path=/x'], [], false).words.at(-1)).toBe(
      'memory-backend-file,id=m,mem-path=/x,prealloc=off,share=off,reserve=off',
    );
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
