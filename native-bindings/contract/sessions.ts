// SPDX-License-Identifier: Apache-2.0
/** The device and its sessions: exclusive opening, names, life and direction. */
import assert from 'node:assert/strict';
import { type ContractCase, expectCode, newSession, openDevice } from './harness.ts';

const longestName = 63;

export const sessionCases: readonly ContractCase[] = [
  {
    name: 'the device admits one opener at a time',
    async run(harness) {
      const device = await openDevice(harness);
      const error = await expectCode('EBUSY', () => harness.liveUpdate.openDevice());
      assert.equal(error.syscall, 'open');
      device.close();
      (await openDevice(harness)).close();
    },
  },
  {
    name: 'closing the device leaves sessions as they are',
    async run(harness) {
      using session = await newSession(harness, 'outlives-device');
      assert.equal(harness.liveUpdate.sessionName(session), `${harness.prefix}outlives-device`);
    },
  },
  {
    name: 'a name in use cannot be taken again until its session is closed',
    async run(harness) {
      const session = await newSession(harness, 'twice');
      await expectCode('EEXIST', () => newSession(harness, 'twice'));
      session.close();
      (await newSession(harness, 'twice')).close();
    },
  },
  {
    name: 'a session lives until the last copy of its descriptor is closed',
    async run(harness) {
      const session = await newSession(harness, 'copied');
      const copy = harness.native.descriptors.duplicate(session);
      session.close();
      assert.equal(harness.liveUpdate.sessionName(copy), `${harness.prefix}copied`);
      await expectCode('EEXIST', () => newSession(harness, 'copied'));
      copy.close();
      (await newSession(harness, 'copied')).close();
    },
  },
  {
    name: 'a session on its way in a message stays open',
    async run(harness) {
      const { sockets } = harness.native;
      const [near, far] = sockets.socketPair();
      const session = await newSession(harness, 'in-flight');
      sockets.send(near, Buffer.of(1), [session]);
      session.close();
      await expectCode('EEXIST', () => newSession(harness, 'in-flight'));
      const received = sockets.receive(far);
      const [arrived] = received?.descriptors ?? [];
      assert.ok(arrived);
      assert.equal(harness.liveUpdate.sessionName(arrived), `${harness.prefix}in-flight`);
      // As ours it is closed at once, which what comes from outside is not.
      const own = harness.native.descriptors.takeOwnership(arrived.release());
      for (const descriptor of [own, near, far]) descriptor.close();
      (await newSession(harness, 'in-flight')).close();
    },
  },
  {
    name: 'a name may have 63 bytes, in any script',
    async run(harness) {
      const free = longestName - Buffer.byteLength(harness.prefix);
      for (const rest of ['n'.repeat(free), 'é'.repeat(Math.floor(free / 2))]) {
        using session = await newSession(harness, rest);
        assert.equal(harness.liveUpdate.sessionName(session), harness.prefix + rest);
      }
    },
  },
  {
    name: 'a name of 64 bytes or more, or of none, is EINVAL',
    async run(harness) {
      using device = await openDevice(harness);
      for (const name of ['n'.repeat(64), 'n'.repeat(65), 'n'.repeat(4096), `${'n'.repeat(62)}é`, '']) {
        const error = await expectCode('EINVAL', () => harness.liveUpdate.createSession(device, name));
        assert.match(error.argument ?? '', /^name=/);
      }
    },
  },
  {
    name: 'names that differ in the last byte are different names',
    async run(harness) {
      const common = 'd'.repeat(longestName - 1 - Buffer.byteLength(harness.prefix));
      using one = await newSession(harness, `${common}1`);
      using two = await newSession(harness, `${common}2`);
      assert.notEqual(harness.liveUpdate.sessionName(one), harness.liveUpdate.sessionName(two));
    },
  },
  {
    name: 'retrieving a session that did not come from another kernel is ENOENT',
    async run(harness) {
      using _outgoing = await newSession(harness, 'never-sent');
      using device = await openDevice(harness);
      const retrieve = () => harness.liveUpdate.retrieveSession(device, `${harness.prefix}never-sent`);
      const error = await expectCode('ENOENT', retrieve);
      assert.equal(error.argument, `name="${harness.prefix}never-sent"`);
    },
  },
  {
    name: 'retrieving a file from, or finishing, an outgoing session is EINVAL',
    async run(harness) {
      using session = await newSession(harness, 'wrong-way');
      await expectCode('EINVAL', () => harness.liveUpdate.retrieveFd(session, 0n));
      await expectCode('EINVAL', () => harness.liveUpdate.finish(session));
    },
  },
  {
    name: 'requests on a closed descriptor are EBADF',
    async run(harness) {
      const session = await newSession(harness, 'closed');
      session.close();
      await expectCode('EBADF', () => harness.liveUpdate.sessionName(session));
      await expectCode('EBADF', () => harness.liveUpdate.finish(session));
      await expectCode('EBADF', () => harness.liveUpdate.retrieveFd(session, 1n));
      await expectCode('EBADF', () => harness.liveUpdate.createSession(session, 'x'));
      await expectCode('EBADF', () => harness.liveUpdate.retrieveSession(session, 'x'));
    },
  },
  {
    name: 'requests on a file that is neither device nor session are ENOTTY',
    async run(harness) {
      using file = harness.native.memory.memfdCreate('neither');
      const { liveUpdate } = harness;
      await expectCode('ENOTTY', () => liveUpdate.createSession(file, 'x'));
      await expectCode('ENOTTY', () => liveUpdate.retrieveSession(file, 'x'));
      await expectCode('ENOTTY', () => liveUpdate.sessionName(file));
      await expectCode('ENOTTY', () => liveUpdate.preserveFd(file, file, 0n));
    },
  },
];
