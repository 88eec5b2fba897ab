// SPDX-License-Identifier: Apache-2.0
/**
 * A file system of one file, of which no close ever ends: it answers everything but FUSE_FLUSH. Run as a program, with
 * the directory to mount it on, by a test that needs such a file.
 *
 * It says `ready` once it is mounted, and `flush` for each close that waits. It ends by itself after a while, and
 * with it every close. So a test that waits for a close fails instead of hanging for ever. It also ends with its input.
 *
 * The requests are those of include/uapi/linux/fuse.h, answered as version 7.31.
 */
import { spawnSync } from 'node:child_process';
import { openSync, read, writeSync } from 'node:fs';

const [, , directory = ''] = process.argv;
const lifeMs = 20_000;

const headerBytes = 40;
const requests = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  open: 14,
  statfs: 17,
  release: 18,
  flush: 25,
  init: 26,
  access: 34,
};
const fileNode = 2n;
const validSeconds = 1000n;

/** `struct fuse_attr`: the directory, or the empty file. */
function attributes(node: bigint): Buffer {
  const bytes = Buffer.alloc(88);
  bytes.writeBigUInt64LE(node, 0);
  bytes.writeUInt32LE(node === fileNode ? 0o100644 : 0o40755, 60);
  bytes.writeUInt32LE(1, 64);
  bytes.writeUInt32LE(4096, 80);
  return bytes;
}

/** What is answered; null for what needs no answer, a negative errno for what is refused. */
function answerTo(request: number, node: bigint): Buffer | number | null {
  if (request === requests.init) {
    const bytes = Buffer.alloc(64);
    bytes.writeUInt32LE(7, 0);
    bytes.writeUInt32LE(31, 4);
    bytes.writeUInt32LE(4096, 20);
    return bytes;
  }
  if (request === requests.lookup) {
    const bytes = Buffer.alloc(40);
    bytes.writeBigUInt64LE(fileNode, 0);
    for (const at of [16, 24]) bytes.writeBigUInt64LE(validSeconds, at);
    return Buffer.concat([bytes, attributes(fileNode)]);
  }
  if (request === requests.getattr) {
    const bytes = Buffer.alloc(16);
    bytes.writeBigUInt64LE(validSeconds, 0);
    return Buffer.concat([bytes, attributes(node)]);
  }
  if (request === requests.open) return Buffer.alloc(16);
  if (request === requests.statfs) return Buffer.alloc(80);
  if (request === requests.release || request === requests.access) return Buffer.alloc(0);
  if (request === requests.forget || request === requests.flush) return null;
  return -38; // ENOSYS
}

const device = openSync('/dev/fuse', 'r+');
const options = 'fd=3,rootmode=40000,user_id=0,group_id=0,allow_other';
const mounted = spawnSync('mount', ['-i', '-t', 'fuse', '-o', options, 'luo-silent', directory], {
  stdio: ['ignore', 'inherit', 'inherit', device],
});
if (mounted.status !== 0) process.exit(1);
process.stdout.write('ready\n');

// An ordinary exit would wait for the thread that reads.
const end = (): boolean => process.kill(process.pid, 'SIGKILL');
setTimeout(end, lifeMs);
process.stdin.on('end', end).resume();
const buffer = Buffer.alloc(256 * 1024);

/** Deals with one request after the other; the device is read on another thread meanwhile. */
function serve(): void {
  read(device, buffer, (error, bytes) => {
    if (error) throw error;
    deal(bytes);
    serve();
  });
}

function deal(bytes: number): void {
  const request = buffer.readUInt32LE(4);
  const answer = answerTo(request, buffer.readBigUInt64LE(16));
  if (request === requests.flush) process.stdout.write('flush\n');
  if (answer === null || bytes < headerBytes) return;
  const body = typeof answer === 'number' ? Buffer.alloc(0) : answer;
  const header = Buffer.alloc(16);
  header.writeUInt32LE(header.length + body.length, 0);
  header.writeInt32LE(typeof answer === 'number' ? answer : 0, 4);
  header.writeBigUInt64LE(buffer.readBigUInt64LE(8), 8);
  writeSync(device, Buffer.concat([header, body]));
}

serve();
