// SPDX-License-Identifier: Apache-2.0
/** Many sessions and many files: 1,000 of each. */
import assert from 'node:assert/strict';
import type { Descriptor } from '../src/face.ts';
import { type ContractCase, expectCode, newSession, openDevice } from './harness.ts';

const manySessions = 1000;

export const scaleCases: readonly ContractCase[] = [
  {
    name: '1,000 sessions at once, each with its own name',
    async run(harness) {
      const { liveUpdate } = harness;
      const sessions: Descriptor[] = [];
      using device = await openDevice(harness);
      try {
        for (let count = 0; count < manySessions; count++) {
          sessions.push(liveUpdate.createSession(device, `${harness.prefix}many-${count}`));
        }
        for (const [count, session] of sessions.entries()) {
          assert.equal(liveUpdate.sessionName(session), `${harness.prefix}many-${count}`);
        }
        await expectCode('EEXIST', () =>
          liveUpdate.createSession(device, `${harness.prefix}many-${manySessions - 1}`),
        );
      } finally {
        for (const session of sessions) session.close();
      }
      liveUpdate.createSession(device, `${harness.prefix}many-0`).close();
    },
  },
  {
    name: '1,000 files in one session, each under its own token',
    async run(harness) {
      const { memory } = harness.native;
      using session = await newSession(harness, 'many-files');
      for (let count = 0; count < manySessions; count++) {
        using file = memory.memfdCreate(`many-${count}`);
        memory.write(file, 0n, Buffer.of(count & 0xff, count >> 8));
        await harness.liveUpdate.preserveFd(session, file, BigInt(count));
      }
      using one = memory.memfdCreate('one-more');
      await expectCode('EEXIST', () => harness.liveUpdate.preserveFd(session, one, BigInt(manySessions - 1)));
      await harness.liveUpdate.preserveFd(session, one, BigInt(manySessions));
    },
  },
];
