// SPDX-License-Identifier: Apache-2.0
/** Where a VMM writes to, from a procfs made up of files. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileSystemKey, type PlaceSources, writesByOthers, writtenPlaces } from './written-places.ts';

const pid = 7;
const [reading, writing, both] = ['0100000', '0100001', '02100002'];

let proc: string;
/** The number of the block device that a descriptor is. */
let blockDevices: Map<number, bigint>;
let sources: PlaceSources;

beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'luo-places-'));
  blockDevices = new Map();
  sources = { proc, blockDevice: (_pid, fd) => blockDevices.get(fd) ?? null };
  for (const name of ['fd', 'fdinfo']) mkdirSync(join(proc, String(pid), name), { recursive: true });
  const mounts = [
    '29 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw',
    '31 29 0:44 / /srv/my\\040data rw shared:9 - nfs4 host:/data rw',
    '32 29 254:0 /var/lib /bound rw shared:1 - ext4 /dev/root rw',
    '40 29 0:5 / /dev rw - devtmpfs devtmpfs rw',
    '41 29 0:25 / /run rw - tmpfs tmpfs rw',
    '42 29 0:21 / /proc rw - proc proc rw',
  ];
  writeFileSync(join(proc, String(pid), 'mountinfo'), `${mounts.join('\n')}\n`);
});
afterEach(() => rmSync(proc, { recursive: true }));

/** A descriptor of the process: where it leads, on which mount, opened how, and which block device it is. */
function opened(fd: number, target: string, mount: number, flags: string, device?: bigint): void {
  if (device !== undefined) blockDevices.set(fd, device);
  symlinkSync(target, join(proc, String(pid), 'fd', String(fd)));
  writeFileSync(
    join(proc, String(pid), 'fdinfo', String(fd)),
    `pos:\t0\nflags:\t${flags}\nmnt_id:\t${mount}\nino:\t12\n`,
  );
}

describe('places that a VMM writes to', () => {
  it('are the file systems of what it has open for writing, each once', async () => {
    opened(1, '/var/log/vm.log', 29, writing);
    opened(5, '/srv/my data/disk', 31, both);
    opened(6, '/bound/other-disk', 32, both);
    expect(await writtenPlaces(sources, pid)).toEqual([
      {
        kind: 'file system',
        key: 'file system 254:0',
        name: 'the file system ext4 at /',
        fd: 1,
        file: '29 /var/log/vm.log',
      },
      {
        kind: 'file system',
        key: 'file system 0:44',
        name: 'the file system nfs4 at /srv/my data',
        fd: 5,
        file: '31 /srv/my data/disk',
      },
    ]);
  });

  it('are its block devices, wherever their nodes are', async () => {
    opened(3, '/dev/vda', 40, both, 0xfd00n);
    opened(4, '/var/lib/vm/node', 29, both, 0xfd01n);
    opened(5, '/disk', 77, both, 0xfd02n);
    const found = { kind: 'block device' };
    expect(await writtenPlaces(sources, pid)).toEqual([
      {
        ...{ ...found, key: 'block device 64768', name: 'the block device /dev/vda' },
        ...{ fd: 3, file: '40 /dev/vda' },
      },
      {
        ...{ ...found, key: 'block device 64769', name: 'the block device /var/lib/vm/node' },
        ...{ fd: 4, file: '29 /var/lib/vm/node' },
      },
      {
        ...{ ...found, key: 'block device 64770', name: 'the block device /disk' },
        ...{ fd: 5, file: '77 /disk' },
      },
    ]);
  });

  it('are not those of what it only reads, nor what is in memory, nor what is no file', async () => {
    opened(3, '/usr/share/firmware', 29, reading);
    opened(4, '/run/vm.pid', 41, writing);
    opened(5, '/memfd:ram (deleted)', 15, both);
    opened(6, 'socket:[12]', 9, both);
    opened(7, '/dev/null', 40, both);
    opened(8, '/proc/7/oom_score_adj', 42, both);
    expect(await writtenPlaces(sources, pid)).toEqual([]);
  });

  it('are also what has been unmounted since, whose mount nobody lists', async () => {
    opened(3, '/disk', 77, both);
    expect(await writtenPlaces(sources, pid)).toEqual([
      { kind: 'unknown', key: 'mount 77', name: '/disk', fd: 3, file: '77 /disk' },
    ]);
  });

  it('are not known where an open file cannot be asked what it is', async () => {
    opened(3, '/dev/vda', 40, both);
    sources = {
      ...sources,
      blockDevice: () => {
        throw new Error('EPERM');
      },
    };
    expect(await writtenPlaces(sources, pid)).toMatchObject([{ kind: 'unknown', name: '/dev/vda' }]);
  });

  it('are none of a process that has ended', async () => {
    expect(await writtenPlaces(sources, 8)).toEqual([]);
  });
});

it.each([
  [['-chardev', 'socket,id=c,path=/run/c', '-device', 'vhost-user-blk-pci,chardev=c'], true],
  [['-blockdev', '{"driver":"nbd","server":{"type":"unix","path":"/run/nbd"},"node-name":"d"}'], true],
  [['-drive', 'file=nbd:unix:/run/nbd,if=virtio'], true],
  [['-drive', 'file=/srv/disk,if=virtio', '-name', 'vm'], false],
])('others write for a VMM with %j: %j', (words, others) => {
  expect(writesByOthers(words)).toBe(others);
});

describe('the key of a file system', () => {
  it('has the number of its device as mountinfo shows it', () => {
    expect(fileSystemKey({ dev: 0xfe00 })).toBe('file system 254:0');
    // Minor numbers of 20 bits, major numbers of 12.
    expect(fileSystemKey({ dev: 0x100f_f02a })).toBe('file system 4080:65578');
  });
});
