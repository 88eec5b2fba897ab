// SPDX-License-Identifier: Apache-2.0
/** Preserving files: tokens, kinds, double preservation, and what stays possible meanwhile. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readlinkSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Descriptor, FdLike } from '../src/face.ts';
import {
  type ContractCase,
  expectCode,
  filledMemfd,
  type Harness,
  newSession,
  patternBytes,
} from './harness.ts';

const largestToken = 2n ** 64n - 1n;
const F_SEAL_SHRINK = 0x2;
const F_SEAL_GROW = 0x4;

/** An open file at `directory`, with or without its name, for the time of `use`. */
async function withFile(
  directory: string,
  linked: boolean,
  use: (fd: number) => Promise<void>,
): Promise<void> {
  const path = join(directory, `luo-contract-${process.pid}`);
  const fd = openSync(path, 'wx+');
  try {
    writeSync(fd, 'contents');
    if (!linked) unlinkSync(path);
    await use(fd);
  } finally {
    closeSync(fd);
    if (linked) unlinkSync(path);
  }
}

async function refuses(harness: Harness, kind: string, file: FdLike): Promise<void> {
  using session = await newSession(harness, `kind-${kind}`);
  const number = typeof file === 'number' ? file : file.fd;
  const error = await expectCode('ENOENT', () => harness.liveUpdate.preserveFd(session, file, 1n));
  assert.equal(error.argument, `file=${number}`);
}

function sizeOf(harness: Harness, file: Descriptor): bigint {
  return harness.native.memory.fileFacts(file).size;
}

/** Descriptors of this process whose link matches, at least one of each kind Node has. */
function ownDescriptors(pattern: RegExp): { kind: string; fd: number }[] {
  const found = new Map<string, number>();
  for (const name of readdirSync('/proc/self/fd')) {
    let link: string;
    try {
      link = readlinkSync(`/proc/self/fd/${name}`);
    } catch {
      continue; // the descriptor of the directory listing itself
    }
    const [kind] = pattern.exec(link) ?? [];
    if (kind !== undefined) found.set(kind, Number(name));
  }
  assert.ok(found.size > 0, 'this process has no descriptor of the kinds looked for');
  return [...found].map(([kind, fd]) => ({ kind: kind.replaceAll(/\W+/g, '-'), fd }));
}

export const preservingCases: readonly ContractCase[] = [
  {
    name: 'tokens 0, 1 and 2^64-1 are tokens like any other',
    async run(harness) {
      using session = await newSession(harness, 'tokens');
      for (const token of [0n, 1n, 2n ** 63n, largestToken]) {
        using file = filledMemfd(harness, `token-${token}`);
        await harness.liveUpdate.preserveFd(session, file, token);
      }
    },
  },
  {
    name: 'a token in use is EEXIST, in its own session only',
    async run(harness) {
      using one = await newSession(harness, 'token-one');
      using two = await newSession(harness, 'token-two');
      const files = ['a', 'b', 'c'].map((seed) => filledMemfd(harness, seed));
      const [first, second, third] = files as [Descriptor, Descriptor, Descriptor];
      await harness.liveUpdate.preserveFd(one, first, 7n);
      const error = await expectCode('EEXIST', () => harness.liveUpdate.preserveFd(one, second, 7n));
      assert.equal(error.argument, 'token=7');
      await harness.liveUpdate.preserveFd(two, third, 7n);
      for (const file of files) file.close();
    },
  },
  {
    name: 'of a row of files those before the one that is refused are preserved, and none after it',
    async run(harness) {
      using session = await newSession(harness, 'row');
      const [first, second, third] = ['r1', 'r2', 'r3'].map((seed) => filledMemfd(harness, seed)) as [
        Descriptor,
        Descriptor,
        Descriptor,
      ];
      const { liveUpdate } = harness;
      const error = await expectCode('EBUSY', () =>
        liveUpdate.preserveFds(session, [first, first, second], [1n, 2n, 3n]),
      );
      assert.equal(error.argument, `file=${first.fd}`);
      assert.equal(error.place, 1);
      await expectCode('EEXIST', () => liveUpdate.preserveFds(session, [third], [1n]));
      await liveUpdate.preserveFds(session, [second, third], [2n, 3n]);
      await liveUpdate.preserveFds(session, [], []);
      for (const file of [first, second, third]) file.close();
    },
  },
  {
    name: 'a file is preserved once: EBUSY in the same session and in another',
    async run(harness) {
      using one = await newSession(harness, 'busy-one');
      using two = await newSession(harness, 'busy-two');
      using file = filledMemfd(harness, 'busy');
      await harness.liveUpdate.preserveFd(one, file, 1n);
      await expectCode('EBUSY', () => harness.liveUpdate.preserveFd(one, file, 2n));
      const error = await expectCode('EBUSY', () => harness.liveUpdate.preserveFd(two, file, 1n));
      assert.equal(error.argument, `file=${file.fd}`);
    },
  },
  {
    name: 'another descriptor of a preserved file is EBUSY too',
    async run(harness) {
      using session = await newSession(harness, 'busy-copy');
      using file = filledMemfd(harness, 'busy-copy');
      await harness.liveUpdate.preserveFd(session, file, 1n);
      using copy = harness.native.descriptors.duplicate(file);
      await expectCode('EBUSY', () => harness.liveUpdate.preserveFd(session, copy, 2n));
      const reopened = openSync(`/proc/self/fd/${file.fd}`, 'r+');
      try {
        await expectCode('EBUSY', () => harness.liveUpdate.preserveFd(session, reopened, 3n));
      } finally {
        closeSync(reopened);
      }
    },
  },
  {
    name: 'closing a session releases its files, so that they can be preserved again',
    async run(harness) {
      using file = filledMemfd(harness, 'again');
      for (const token of [1n, 2n, 3n]) {
        using session = await newSession(harness, 'again');
        await harness.liveUpdate.preserveFd(session, file, token);
      }
      harness.native.memory.truncate(file, 4096n);
      assert.equal(sizeOf(harness, file), 4096n);
    },
  },
  {
    name: 'a session keeps a file after its owner has closed it',
    async run(harness) {
      using session = await newSession(harness, 'kept');
      const file = filledMemfd(harness, 'kept');
      await harness.liveUpdate.preserveFd(session, file, 1n);
      file.close();
      using other = filledMemfd(harness, 'other');
      await expectCode('EEXIST', () => harness.liveUpdate.preserveFd(session, other, 1n));
    },
  },
  {
    name: 'the contents of a preserved file may change',
    async run(harness) {
      const { memory } = harness.native;
      using session = await newSession(harness, 'contents');
      using file = filledMemfd(harness, 'contents');
      await harness.liveUpdate.preserveFd(session, file, 1n);
      const changed = patternBytes('changed', 100);
      memory.write(file, 1000n, changed);
      assert.deepEqual(memory.read(file, 1000n, 100), changed);
    },
  },
  {
    name: 'the size of a preserved file cannot change until it is released',
    kernelOnly: 'a file of the machine the double runs on cannot be frozen from outside its kernel',
    async run(harness) {
      const { memory } = harness.native;
      const session = await newSession(harness, 'size');
      using file = filledMemfd(harness, 'size');
      await harness.liveUpdate.preserveFd(session, file, 1n);
      assert.throws(() => memory.truncate(file, 4096n));
      assert.throws(() => memory.truncate(file, 16384n));
      assert.throws(() => memory.write(file, 8192n, Buffer.of(1)));
      assert.equal(sizeOf(harness, file), 8192n);
      session.close();
      memory.truncate(file, 16384n);
    },
  },
  {
    name: 'preserving fills the holes of a sparse file',
    kernelOnly: 'the double does not touch the pages of a file',
    async run(harness) {
      const { memory } = harness.native;
      using session = await newSession(harness, 'sparse');
      using file = memory.memfdCreate('sparse');
      memory.truncate(file, 1n << 20n);
      await harness.liveUpdate.preserveFd(session, file, 1n);
      assert.equal(memory.fileFacts(file).allocated, 1n << 20n);
    },
  },
  {
    name: 'preserving adds no seal and takes none away',
    async run(harness) {
      const { memory } = harness.native;
      using session = await newSession(harness, 'seals');
      using file = filledMemfd(harness, 'seals');
      memory.addSeals(file, F_SEAL_SHRINK | F_SEAL_GROW);
      await harness.liveUpdate.preserveFd(session, file, 1n);
      assert.equal(memory.getSeals(file), F_SEAL_SHRINK | F_SEAL_GROW);
    },
  },
  {
    name: 'an empty memfd can be preserved',
    async run(harness) {
      using session = await newSession(harness, 'empty');
      using file = filledMemfd(harness, 'empty', 0);
      await harness.liveUpdate.preserveFd(session, file, 1n);
    },
  },
  {
    name: 'an unlinked tmpfs file can be preserved, a linked one is ENOENT',
    async run(harness) {
      await withFile(harness.tmpfsDirectory, true, (fd) => refuses(harness, 'linked', fd));
      await withFile(harness.tmpfsDirectory, false, async (fd) => {
        using session = await newSession(harness, 'unlinked');
        await harness.liveUpdate.preserveFd(session, fd, 1n);
      });
    },
  },
  {
    name: 'files on disk, linked or not, are ENOENT',
    async run(harness) {
      await withFile(harness.diskDirectory, true, (fd) => refuses(harness, 'disk', fd));
      await withFile(harness.diskDirectory, false, (fd) => refuses(harness, 'disk-unlinked', fd));
    },
  },
  {
    name: 'sockets, devices, directories and process descriptors are ENOENT',
    async run(harness) {
      const [near, far] = harness.native.sockets.socketPair();
      using pidfd = harness.native.descriptors.pidfdOpen(process.pid);
      await refuses(harness, 'socket', near);
      await refuses(harness, 'pidfd', pidfd);
      for (const path of ['/dev/null', harness.tmpfsDirectory]) {
        const fd = openSync(path, 'r');
        await refuses(harness, 'path', fd);
        closeSync(fd);
      }
      near.close();
      far.close();
    },
  },
  {
    name: 'eventfds, epoll descriptors and pipes are ENOENT',
    async run(harness) {
      // Node's own event loop has an epoll descriptor, an eventfd and a pipe.
      for (const { kind, fd } of ownDescriptors(/^(anon_inode:\[event(fd|poll)\]|pipe:)/)) {
        await refuses(harness, kind, fd);
      }
    },
  },
  {
    name: 'a memfd of huge pages is ENOENT',
    async run(harness) {
      using file = harness.native.memory.memfdCreate('huge', { hugetlb: true });
      await refuses(harness, 'hugetlb', file);
    },
  },
  {
    name: 'what is preserved in small pages stays in them: EAGAIN',
    kernelOnly: 'only a kernel pins the pages of a preserved file',
    async run(harness) {
      const { memory } = harness.native;
      using session = await newSession(harness, 'small');
      using file = filledMemfd(harness, 'small', 2 << 20);
      await harness.liveUpdate.preserveFd(session, file, 0n);
      await assert.rejects(memory.collapse(file, 0n, 2 << 20), { code: 'EAGAIN' });
      assert.equal(await memory.hugeBytes(file), 0n);
    },
  },
  {
    name: 'a session cannot hold a session',
    async run(harness) {
      using inner = await newSession(harness, 'inner');
      await refuses(harness, 'session', inner);
    },
  },
  {
    name: 'a descriptor that is not open is EBADF, and it is the file that is at fault',
    async run(harness) {
      using session = await newSession(harness, 'ebadf');
      const file = filledMemfd(harness, 'ebadf');
      const number = file.fd;
      file.close();
      const error = await expectCode('EBADF', () => harness.liveUpdate.preserveFd(session, number, 1n));
      assert.equal(error.argument, `file=${number}`);
    },
  },
];
