// SPDX-License-Identifier: Apache-2.0
/** An agent that is to end, while machines are stopped. */
import { native } from '@luo-console/native';
import { expect, it } from 'vitest';
import { leaveNone } from './leave-none.ts';

/** @param stopped sessions that a renewal has stopped still, each time that its end was waited for in vain */
async function leave(...stopped: string[][]): Promise<string[]> {
  const happened: string[] = [];
  let now: readonly string[] = [];
  await leaveNone(
    {
      native: {
        ...native,
        serviceManager: {
          notify: (text: string) => {
            if (text.startsWith('STATUS=')) happened.push(text);
            return true;
          },
          takeListenFds: () => [],
        },
      },
      log: () => {},
      journal: { writeAll: () => void happened.push('written') },
      renewals: {
        end: async () => {
          now = stopped.shift() ?? [];
          happened.push('end of renewals');
          if (now.length > 0 || stopped.length > 0) throw new Error('a renewal did not end');
        },
        get stopped() {
          return now;
        },
      },
      updater: { leaveNone: async () => void happened.push('end of updates') },
    },
    'it is told to',
  );
  return happened;
}

const waits = 'STATUS=stopping; waits for machines that do not run yet: machine:one';

it('waits for a renewal as long as its machine is stopped', async () => {
  expect(await leave(['machine:one'], ['machine:one'])).toEqual([
    ...['end of renewals', waits, 'end of renewals', waits, 'end of renewals'],
    ...['end of updates', 'written'],
  ]);
});

it('does not wait for a renewal whose machine runs', async () => {
  expect(await leave([], [])).toEqual(['end of renewals', 'end of updates', 'written']);
});
