// SPDX-License-Identifier: Apache-2.0
/** Doing beforehand what will be done while machines are stopped. */
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { warmUp } from './warm-up.ts';

it('does something often, and lets others have their turn', async () => {
  let [times, turns] = [0, 0];
  const other = async (): Promise<void> => {
    while (times < 40) {
      turns += 1;
      await setImmediate();
    }
  };
  const once = (): void => {
    times += 1;
  };
  await Promise.all([other(), warmUp(once, new AbortController().signal)]);
  expect(times).toBe(40);
  expect(turns).toBeGreaterThan(30);
});

it('ends where the update is aborted, and says what cannot be done', async () => {
  const over = new AbortController();
  let times = 0;
  await warmUp(() => {
    times += 1;
    over.abort();
  }, over.signal);
  expect(times).toBe(1);
  const failing = warmUp(() => {
    throw new Error('it does not fit');
  }, new AbortController().signal);
  await expect(failing).rejects.toThrow('it does not fit');
});
