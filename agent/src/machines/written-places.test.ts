// SPDX-License-Identifier: Apache-2.0
/** Where a VMM writes to, from a procfs made up of files. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writesByOthers, writtenPlaces } from './written-places.ts';

const pid = 7;
const blockDevice = '/dev/loop0';
const [reading, writing, both] = ['0100000', '0100001', '02100002'];

let proc: string;

beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'luo-places-'));
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

/** A descriptor of the process: where it leads, on which mount, opened how. */
function opened(fd: number, target: string, mount: number, flags: string): void {
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
    expect(await writtenPlaces(proc, pid)).toEqual([
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
        name: 'the file system nfs4 at /srv/my\\040data',
        fd: 5,
        file: '31 /srv/my data/disk',
      },
    ]);
  });

  it.runIf(existsSync(blockDevice))('are its block devices, whose nodes are in memory', async () => {
    opened(3, blockDevice, 40, both);
    const { rdev } = statSync(blockDevice);
    expect(await writtenPlaces(proc, pid)).toEqual([
      {
        kind: 'block device',
        key: `block device ${rdev}`,
        name: `the block device ${blockDevice}`,
        fd: 3,
        file: `40 ${blockDevice}`,
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
    expect(await writtenPlaces(proc, pid)).toEqual([]);
  });

  it('are also what has been unmounted since, whose mount nobody lists', async () => {
    opened(3, '/disk', 77, both);
    expect(await writtenPlaces(proc, pid)).toEqual([
      { kind: 'unknown', key: 'mount 77', name: '/disk', fd: 3, file: '77 /disk' },
    ]);
  });

  it('are none of a process that has ended', async () => {
    expect(await writtenPlaces(proc, 8)).toEqual([]);
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
