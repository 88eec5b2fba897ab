// SPDX-License-Identifier: Apache-2.0
/** The files that a VMM has open, and what would become of each. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MadeUpProc, mapLine } from './made-up-proc.fixture.ts';
import { descriptorLinks, openFiles } from './open-files.ts';

const pid = 100;
const words = ['qemu-kvm'];

let proc: MadeUpProc;
beforeEach(() => {
  proc = new MadeUpProc();
});
afterEach(() => proc[Symbol.dispose]());

const look = async () => openFiles(proc.sources, pid, await descriptorLinks(proc.directory, pid));

describe('the files of a VMM', () => {
  it('include memory that is mapped only, and not libraries or what it may only read', async () => {
    const name = '/memfd:ram (deleted)';
    proc.files.set(name, { kind: 'memfd', size: 4096, inode: 70 });
    proc.files.set('/usr/lib/libc.so', { inode: 71 });
    proc.add({
      pid,
      words,
      maps: [
        mapLine(name, 70, 4096),
        mapLine('/usr/lib/libc.so', 71, 8192, 'p'),
        '7f0000000000-7f0000001000 r--s 00000000 00:01 72                     /memfd:seen (deleted)',
        '7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]',
      ],
    });
    mkdirSync(join(proc.directory, `${pid}/map_files`));
    symlinkSync(name, join(proc.directory, `${pid}/map_files/10000000-10001000`));
    const { files } = await look();
    expect(files).toMatchObject([
      { fd: null, kind: 'memfd', size: 4096, inode: 70, mapped: { shared: 4096 } },
    ]);
  });

  it('have the PCI address of a device, from sysfs or from what the descriptor says of itself', async () => {
    const sysfs = join(proc.directory, 'sys/class/vfio-dev/vfio3');
    mkdirSync(sysfs, { recursive: true });
    symlinkSync('../../../0000:41:00.1', join(sysfs, 'device'));
    proc.add({
      pid,
      words,
      fds: {
        5: '/dev/vfio/devices/vfio3',
        6: 'anon_inode:[vfio-device]',
        7: 'anon_inode:[vfio-device]',
        8: '/dev/vfio/12',
        9: '/dev/vfio/vfio',
      },
      fdinfo: { 6: 'pos:\t0\nvfio-device-syspath: /sys/devices/pci0000:40/0000:40:01.0/0000:42:00.0\n' },
    });
    const { files } = await look();
    expect(files.map(({ fd, kind, pciAddress }) => [fd, kind, pciAddress])).toEqual([
      [5, 'vfio_device', '0000:41:00.1'],
      [6, 'vfio_device', '0000:42:00.0'],
      [7, 'vfio_device', null],
      [8, 'vfio_group', null],
      [9, 'vfio_container', null],
    ]);
  });

  it('that are closed while they are looked at are left out, and the others are there', async () => {
    proc.files.set('/srv/image', { inode: 80 });
    // Nothing is known of the second: it is as if it had been closed.
    proc.add({ pid, words, fds: { 5: '/srv/image', 6: '/srv/other' } });
    const { files } = await look();
    expect(files.map(({ fd, kind }) => [fd, kind])).toEqual([[5, 'disk']]);
  });

  it('are none of a process that is not there', async () => {
    expect(await look()).toEqual({ files: [], others: 0 });
  });
});
