// SPDX-License-Identifier: Apache-2.0
/** What a command line names of its host, and that other names replace exactly that. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readOptions } from './command-line.ts';
import { namesIn, UnwritableName, withNames } from './named-in-words.ts';

const none: ReadonlySet<string> = new Set();
const named = (...words: string[]) => namesIn(words, none).map(({ name, kind }) => `${kind} ${name}`);
const changed = (words: string[], ...names: [string, string][]) => withNames(words, new Map(names), none);

describe('the names on a command line', () => {
  it.each<[string[], string[]]>([
    [['-drive', 'if=none,file=/srv/a,,b.img,format=raw,id=d'], ['disk /srv/a,b.img']],
    [['-drive', 'file.driver=file,file.filename=/srv/a'], ['disk /srv/a']],
    [
      [
        '-blockdev',
        '{"driver":"qcow2","node-name":"d","file":{"driver":"host_device","filename":"/dev/disk/by-id/one"}}',
      ],
      ['disk /dev/disk/by-id/one'],
    ],
    [['-blockdev', 'driver=nbd,server.type=unix,server.path=/run/nbd.sock'], ['file /run/nbd.sock']],
    [['--hda', '/srv/a,b'], ['disk /srv/a,b']],
    [['-m', '64', '/srv/plain.img'], ['disk /srv/plain.img']],
    [
      ['-chardev', 'socket,id=c,path=/run/c,server=on,logfile=/var/log/c'],
      ['socket /run/c', 'output /var/log/c'],
    ],
    [['-chardev', 'socket,id=c,path=/run/virtiofs'], ['file /run/virtiofs']],
    [['-chardev', 'file,id=c,path=/var/log/c'], ['output /var/log/c']],
    [['-qmp', 'unix:/run/q,server,nowait'], ['socket /run/q']],
    [
      ['-serial', 'file:/var/log/s', '-vnc', 'unix:/run/v'],
      ['output /var/log/s', 'socket /run/v'],
    ],
    [['-serial', 'file:/var/log/a,b=c'], ['output /var/log/a,b=c']],
    [['-serial', 'mon:unix:/run/a,,b,server=on'], ['socket /run/a,b']],
    [['-serial', 'mon:file:/var/log/m'], ['output /var/log/m']],
    [
      ['-parallel', '/dev/parport0', '-debugcon', 'pipe:/run/p,1'],
      ['file /dev/parport0', 'file /run/p,1'],
    ],
    [
      ['-monitor', 'unix:path=/run/a=b,server=on', '-gdb', 'unix:/run/g'],
      ['socket /run/a=b', 'file /run/g'],
    ],
    [['-serial', 'tcp:host:1,server=on', '-serial', 'chardev:c', '-serial', 'stdio'], []],
    [
      ['-set', 'drive.d.file=/srv/a,b', '-readconfig', '/etc/a,b'],
      ['file /srv/a,b', 'file /etc/a,b'],
    ],
    [['-kernel', '/boot/k', '-append', 'root=/dev/vda,/x', '-name', '/one'], ['file /boot/k']],
    [
      ['-pidfile', '/run/p', '-D', '/var/log/d'],
      ['output /run/p', 'output /var/log/d'],
    ],
    [['-object', 'memory-backend-file,id=m,mem-path=/dev/shm/m'], ['file /dev/shm/m']],
    [['-chardev', 'socket,path=/proc/self/fd/3', '-device', 'vfio-pci,sysfsdev=/sys/devices/x'], []],
    [['-drive', 'file=/dev/fdset/1'], []],
    [['-netdev', 'tap,id=n,ifname=tap0,script=no'], ['tap tap0']],
    [['-netdev', 'tap,id=n,fd=7,ifname=tap0'], []],
    [['-netdev', 'bridge,id=n,br=lan'], ['bridge lan']],
    [['-netdev', 'bridge,id=n'], ['bridge br0']],
    [
      ['-nic', 'tap,helper=/usr/lib/h'],
      ['file /usr/lib/h', 'bridge br0'],
    ],
    [['-netdev', '{"type":"tap","id":"tap0","ifname":"tap0"}'], ['tap tap0']],
    [['-netdev', 'user,id=br0'], []],
    [['-blockdev', '{"filename":"/srv/a"'], []],
  ])('%j', (words, expected) => {
    expect(named(...words)).toEqual(expected);
  });

  it('are listed once, with the options that have them', () => {
    const words = ['-drive', 'file=/a,id=x', '-cdrom', '/a', '-drive', 'file=/a,id=y'];
    expect(namesIn(words, none)).toEqual([{ name: '/a', kind: 'disk', option: '-drive file, -cdrom' }]);
  });

  it('are not those of memory that is preserved', () => {
    const words = ['-object', 'memory-backend-file,id=m,mem-path=/dev/shm/m'];
    expect(namesIn(words, new Set(['m']))).toEqual([]);
    expect(withNames(words, new Map([['/dev/shm/m', '/x']]), new Set(['m']))).toEqual(words);
  });
});

describe('other names', () => {
  it.each<[string, string[], string[]]>([
    ['only as whole values', ['-drive', 'file=/a,id=/a/b,x=/ab'], ['-drive', 'file=/n,,1,id=/a/b,x=/ab']],
    ['behind a prefix', ['-qmp', 'unix:/a,server=on'], ['-qmp', 'unix:/n,,1,server=on']],
    [
      'not in what the guest is told',
      ['-append', '/a', '-kernel', '/a'],
      ['-append', '/a', '-kernel', '/n,1'],
    ],
    [
      'in JSON, of which all else stays',
      ['-blockdev', '{ "size": 9007199254740993, "file": {"filename" : "\\u002fa", "/a": "x"} }'],
      ['-blockdev', '{ "size": 9007199254740993, "file": {"filename" : "/n,1", "/a": "x"} }'],
    ],
  ])('are put in %s', (_, words, expected) => {
    expect(changed(words, ['/a', '/n,1'])).toEqual(expected);
  });

  /** As QEMU 7.2 was seen to read them: a comma is doubled among options, and only there. */
  it.each([
    ['-serial', 'file:/a', 'file:/n,1=2'],
    ['-serial', 'mon:file:/a', 'mon:file:/n,1=2'],
    ['-parallel', 'pipe:/a', 'pipe:/n,1=2'],
    ['-monitor', 'unix:/a,server=on', 'unix:path=/n,,1=2,server=on'],
    ['--serial', 'mon:unix:/a', 'mon:unix:path=/n,,1=2'],
    ['-gdb', 'unix:path=/a,server=on', 'unix:path=/n,,1=2,server=on'],
    ['-vnc', 'unix:/a,password=on', 'vnc=unix:/n,,1=2,password=on'],
    ['-option-rom', '/a', 'romfile=/n,,1=2'],
    ['-drive', 'file=/a,format=raw', 'file=/n,,1=2,format=raw'],
    ['-chardev', 'file,id=c,path=/a', 'file,id=c,path=/n,,1=2'],
    ['-fw_cfg', 'name=opt/x,file=/a', 'name=opt/x,file=/n,,1=2'],
    ['-set', 'drive.d.file=/a', 'drive.d.file=/n,1=2'],
    ['-readconfig', '/a', '/n,1=2'],
    ['-hdc', '/a', '/n,1=2'],
    ['-D', '/a', '/n,1=2'],
  ])('are written as QEMU reads them: %s %s', (option, word, expected) => {
    expect(changed([option, word], ['/a', '/n,1=2'])).toEqual([option, expected]);
    // And are found again.
    expect(namesIn([option, expected], none).map(({ name }) => name)).toEqual(['/n,1=2']);
  });

  it.each([
    ['-initrd', '/a', '/n,1', 'a path without a comma: QEMU may take it for several files at -initrd'],
    [
      '-unheard-of',
      'x=1,path=/a',
      '/n,1',
      'a path without a comma: it is not known how QEMU reads one at -unheard-of',
    ],
    ['-unheard-of', '/a', '/n=1', 'a path without "=", which QEMU reads as the end of a key at -unheard-of'],
  ])('are refused where that is not known: %s %s', (option, word, next, expected) => {
    expect(() => changed([option, word], ['/a', next])).toThrow(new UnwritableName(next, expected));
    expect(changed([option, word], ['/a', '/n'])).toEqual([option, word.replace('/a', '/n')]);
  });

  it('can be exchanged', () => {
    expect(changed(['-hda', '/a', '-hdb', '/b'], ['/a', '/b'], ['/b', '/a'])).toEqual([
      '-hda',
      '/b',
      '-hdb',
      '/a',
    ]);
  });

  it.each([
    ['bridge,id=br0', 'bridge,id=br0,br=lan'],
    ['bridge,id=br0,br=br0', 'bridge,id=br0,br=lan'],
    ['{"type":"bridge","id":"br0"}', '{"br":"lan","type":"bridge","id":"br0"}'],
    ['{"type":"bridge","id":"br0","br":"br0"}', '{"type":"bridge","id":"br0","br":"lan"}'],
    ['tap,id=br0,ifname=br0,script=no', 'tap,id=br0,ifname=lan,script=no'],
    ['user,id=br0', 'user,id=br0'],
  ])('of a bridge or a tap leave ids alone: %s', (word, expected) => {
    expect(changed(['-netdev', word], ['br0', 'lan'])).toEqual(['-netdev', expected]);
  });

  it('change nothing where nothing is named, whatever the words are', () => {
    const word = fc.string({
      unit: fc.constantFrom('-', ',', '=', '/', '{', '}', '"', '\\', ':', 'a', 'é', ' '),
    });
    const option = fc.constantFrom('-drive', '-netdev', '-chardev', '-blockdev', '-hda', '-nodefaults');
    fc.assert(
      fc.property(fc.array(fc.oneof(word, option)), (words) => {
        expect(changed(words, ['/not/there', '/x'])).toEqual(words);
      }),
    );
  });

  it('are read as they were meant, commas and all', () => {
    const path = fc
      .string({ unit: fc.constantFrom(',', '=', 'a', '"', '\\', ' ') })
      .map((text) => `/${text}`);
    fc.assert(
      fc.property(path, (next) => {
        const [, pairs = '', , json = ''] = changed(
          ['-drive', 'file=/a,format=raw', '-blockdev', '{"driver":"raw","file":"/a"}'],
          ['/a', next],
        );
        for (const [text, key] of [
          [pairs, 'format'],
          [json, 'driver'],
        ] as const)
          expect(Object.fromEntries(readOptions(text))).toEqual({ file: next, [key]: 'raw' });
      }),
    );
  });
});
