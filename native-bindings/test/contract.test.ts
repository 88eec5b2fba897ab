// SPDX-License-Identifier: Apache-2.0
/** The contract suite on the double; the lab runs the same cases on a kernel. */
import { tmpdir } from 'node:os';
import { describeContract } from '../contract/describe.ts';
import { LiveUpdateDouble } from '../src/double/index.ts';
import { native } from '../src/index.ts';

describeContract('the in-memory double', () => {
  const liveUpdate = new LiveUpdateDouble();
  return {
    liveUpdate,
    native,
    tmpfsDirectory: '/dev/shm',
    diskDirectory: tmpdir(),
    prefix: 'contract-',
    kexec: () => liveUpdate.kexec(),
    [Symbol.dispose]: () => liveUpdate[Symbol.dispose](),
  };
});
