// SPDX-License-Identifier: Apache-2.0
/**
 * What the next kernel must give back after `prepared.ts` preserved it.
 *
 * A session is retrieved only once. So the cases share the descriptors and run in this order, each after the ones
 * before it.
 */
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import type { Descriptor } from '../src/face.ts';
import {
  type ContractCase,
  expectCode,
  filledMemfd,
  type Harness,
  newSession,
  openDevice,
  patternBytes,
  sha256Of,
} from './harness.ts';
import * as prepared from './prepared.ts';

async function retrieve(harness: Harness, name: string): Promise<Descriptor> {
  using device = await openDevice(harness);
  return await harness.liveUpdate.retrieveSession(device, harness.prefix + name);
}

function fdinfo(file: Descriptor, field: string): string {
  const line = new RegExp(`^${field}:\\s*(\\S+)`, 'm').exec(
    readFileSync(`/proc/self/fdinfo/${file.fd}`, 'utf8'),
  );
  return line?.[1] ?? '';
}

async function digestIs(harness: Harness, file: Descriptor, expected: Buffer): Promise<void> {
  assert.equal(await harness.native.memory.sha256(file), sha256Of(expected));
}

/** The cases of the second part; a fresh list for each kexec. */
export function acrossCases(): readonly ContractCase[] {
  const held = new Map<string, Descriptor>();
  const session = (name: string): Descriptor => {
    const found = held.get(name);
    assert.ok(found, `session ${name} was not retrieved`);
    return found;
  };

  return [
    {
      name: 'every session that was open is retrieved by name, and knows its name',
      async run(harness) {
        const names = [
          prepared.mainSession,
          prepared.shuffledSession,
          prepared.abandonedSession,
          prepared.hollowSession,
        ];
        for (const name of [...names, prepared.longName(harness)]) {
          const retrieved = await retrieve(harness, name);
          held.set(name, retrieved);
          assert.equal(harness.liveUpdate.sessionName(retrieved), harness.prefix + name);
        }
      },
    },
    {
      name: 'a session closed before the kexec is ENOENT',
      async run(harness) {
        await expectCode('ENOENT', () => retrieve(harness, prepared.withdrawnSession));
      },
    },
    {
      name: 'a name nobody used is ENOENT',
      async run(harness) {
        await expectCode('ENOENT', () => retrieve(harness, 'nobody'));
      },
    },
    {
      name: 'a session is retrieved once: then EINVAL',
      async run(harness) {
        await expectCode('EINVAL', () => retrieve(harness, prepared.mainSession));
      },
    },
    {
      name: 'an unknown token is ENOENT, in a session with files and in one without',
      async run(harness) {
        const { liveUpdate } = harness;
        const error = await expectCode('ENOENT', () =>
          liveUpdate.retrieveFd(session(prepared.mainSession), 12345n),
        );
        assert.equal(error.argument, 'token=12345');
        await expectCode('ENOENT', () => liveUpdate.retrieveFd(session(prepared.hollowSession), 0n));
      },
    },
    {
      name: 'preserving in an incoming session is EINVAL',
      async run(harness) {
        using file = filledMemfd(harness, 'too-late');
        const preserve = () => harness.liveUpdate.preserveFd(session(prepared.mainSession), file, 999n);
        await expectCode('EINVAL', preserve);
      },
    },
    {
      name: 'contents, size, position and seals survive; name and close-on-exec are fresh',
      async run(harness) {
        const { memory } = harness.native;
        for (const { token, seed, size, position = 0, seals = 0 } of prepared.preparedFiles) {
          using file = await harness.liveUpdate.retrieveFd(session(prepared.mainSession), token);
          assert.equal(memory.fileFacts(file).size, BigInt(size), `size of ${seed}`);
          assert.equal(memory.fileFacts(file).nlink, 0, `links of ${seed}`);
          assert.equal(fdinfo(file, 'pos'), String(position), `position of ${seed}`);
          assert.equal(memory.getSeals(file), seals, `seals of ${seed}`);
          assert.ok(!readlinkSync(`/proc/self/fd/${file.fd}`).includes(seed), `name of ${seed}`);
          await digestIs(harness, file, patternBytes(seed, size));
        }
      },
    },
    {
      name: 'holes read as zeros, with the bytes between them in place',
      async run(harness) {
        using file = await harness.liveUpdate.retrieveFd(session(prepared.mainSession), prepared.sparseToken);
        const expected = Buffer.alloc(prepared.sparseSize);
        patternBytes('sparse', 100).copy(expected, prepared.sparseOffset);
        await digestIs(harness, file, expected);
      },
    },
    {
      name: 'an unlinked tmpfs file survives as a memfd does',
      async run(harness) {
        using file = await harness.liveUpdate.retrieveFd(
          session(prepared.mainSession),
          prepared.unlinkedToken,
        );
        await digestIs(harness, file, patternBytes('unlinked', 5000));
      },
    },
    {
      name: 'what was written after preserving is there',
      async run(harness) {
        using file = await harness.liveUpdate.retrieveFd(
          session(prepared.mainSession),
          prepared.changedToken,
        );
        const expected = patternBytes('before-change', 8192);
        patternBytes('change', 100).copy(expected, prepared.changedOffset);
        await digestIs(harness, file, expected);
      },
    },
    {
      name: 'what was collapsed into huge pages has its contents',
      async run(harness) {
        using file = await harness.liveUpdate.retrieveFd(
          session(prepared.mainSession),
          prepared.collapsedToken,
        );
        await digestIs(harness, file, patternBytes('collapsed', prepared.collapsedSize));
      },
    },
    {
      name: 'what was collapsed into huge pages is in huge pages',
      kernelOnly: 'the double copies a file into a fresh one, and only a kernel hands its pages over',
      async run(harness) {
        using file = await harness.liveUpdate.retrieveFd(
          session(prepared.mainSession),
          prepared.collapsedToken,
        );
        assert.equal(await harness.native.memory.hugeBytes(file), BigInt(prepared.collapsedSize));
      },
    },
    {
      name: 'a descriptor without close-on-exec comes back with it',
      async run(harness) {
        using file = await harness.liveUpdate.retrieveFd(
          session(prepared.mainSession),
          prepared.inheritedToken,
        );
        const cloexecFlag = 0o2000000;
        assert.ok(
          (Number.parseInt(fdinfo(file, 'flags'), 8) & cloexecFlag) !== 0,
          'close-on-exec is not set',
        );
      },
    },
    {
      name: 'the same token twice gives two descriptors of one file',
      async run(harness) {
        const { liveUpdate, native } = harness;
        using one = await liveUpdate.retrieveFd(session(prepared.mainSession), 2n ** 63n);
        using two = await liveUpdate.retrieveFd(session(prepared.mainSession), 2n ** 63n);
        assert.notEqual(one.fd, two.fd);
        assert.equal(native.memory.fileFacts(one).ino, native.memory.fileFacts(two).ino);
        native.memory.write(one, 0n, Buffer.from('seen by both'));
        assert.equal(native.memory.read(two, 0n, 12).toString(), 'seen by both');
      },
    },
    {
      name: 'a row of files is retrieved in its order, or none of it',
      async run(harness) {
        const { liveUpdate, native } = harness;
        const tokens = [3n, 0n, 3n];
        const files = await liveUpdate.retrieveFds(session(prepared.shuffledSession), tokens);
        for (const [index, file] of files.entries()) {
          const seed = prepared.seedOf(prepared.shuffledSession, tokens[index] ?? -1n);
          await digestIs(harness, file, patternBytes(seed, 8192));
        }
        const [one, , again] = files.map((file) => native.memory.fileFacts(file).ino);
        assert.equal(one, again);
        for (const file of files) file.close();
        const error = await expectCode('ENOENT', () =>
          liveUpdate.retrieveFds(session(prepared.shuffledSession), [0n, 777n]),
        );
        assert.equal(error.argument, 'token=777');
      },
    },
    {
      name: 'files can be retrieved in any order',
      async run(harness) {
        const count = BigInt(prepared.shuffledCount);
        for (let step = 0n; step < count; step++) {
          const token = (step * 7n + 3n) % count;
          using file = await harness.liveUpdate.retrieveFd(session(prepared.shuffledSession), token);
          await digestIs(harness, file, patternBytes(prepared.seedOf(prepared.shuffledSession, token), 8192));
        }
      },
    },
    {
      name: 'a retrieved file can be preserved for the next update only after finishing: EBUSY before',
      async run(harness) {
        using file = await harness.liveUpdate.retrieveFd(session(prepared.mainSession), 0n);
        using next = await newSession(harness, 'next');
        await expectCode('EBUSY', () => harness.liveUpdate.preserveFd(next, file, 0n));
        await harness.liveUpdate.finish(session(prepared.mainSession));
        await harness.liveUpdate.preserveFd(next, file, 0n);
      },
    },
    {
      name: 'after finishing no token is left, and the retrieved files live on',
      async run(harness) {
        const { liveUpdate } = harness;
        using file = await liveUpdate.retrieveFd(session(prepared.shuffledSession), 3n);
        await liveUpdate.finish(session(prepared.shuffledSession));
        await expectCode('ENOENT', () => liveUpdate.retrieveFd(session(prepared.shuffledSession), 3n));
        await digestIs(harness, file, patternBytes(prepared.seedOf(prepared.shuffledSession, 3n), 8192));
      },
    },
    {
      name: 'finishing a session without files succeeds, twice over',
      async run(harness) {
        await harness.liveUpdate.finish(session(prepared.hollowSession));
        await harness.liveUpdate.finish(session(prepared.hollowSession));
      },
    },
    {
      name: 'a finished session that is still open cannot be retrieved again: EINVAL',
      async run(harness) {
        await expectCode('EINVAL', () => retrieve(harness, prepared.shuffledSession));
      },
    },
    {
      name: 'the name of an incoming session is free for an outgoing one',
      async run(harness) {
        using outgoing = await newSession(harness, prepared.abandonedSession);
        await expectCode('EINVAL', () => harness.liveUpdate.finish(outgoing));
      },
    },
    {
      name: 'closing an incoming session finishes it: it is ENOENT then, its retrieved files live on',
      async run(harness) {
        const abandoned = session(prepared.abandonedSession);
        using file = await harness.liveUpdate.retrieveFd(abandoned, 1n);
        abandoned.close();
        await expectCode('ENOENT', () => retrieve(harness, prepared.abandonedSession));
        await digestIs(harness, file, patternBytes(prepared.seedOf(prepared.abandonedSession, 1n), 8192));
        using next = await newSession(harness, 'next');
        await harness.liveUpdate.preserveFd(next, file, 1n);
      },
    },
    {
      name: 'every session can be closed, and is gone',
      async run(harness) {
        for (const [name, descriptor] of held) {
          descriptor.close();
          await expectCode('ENOENT', () => retrieve(harness, name));
        }
      },
    },
  ];
}
