// SPDX-License-Identifier: Apache-2.0
/** The watchdog sees a stretch of work that holds the event loop up, and no other. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { withoutPauses } from './loop-watchdog.ts';

/** Keeps the thread busy, by its own clock. */
function work(ms: number): void {
  const busy = (): number => process.threadCpuUsage().user / 1000;
  for (const until = busy() + ms; busy() < until; ) createHash('sha256').update(Buffer.alloc(4096)).digest();
}

it('a stretch of work in one go is found, also as the last thing', async () => {
  await expect(withoutPauses(async () => work(300))).rejects.toThrow(
    /^the event loop was held up for \d+ ms/,
  );
});

it('the same work with turns for others is not', async () => {
  await withoutPauses(async () => {
    for (let piece = 0; piece < 10; piece += 1) {
      work(30);
      await setImmediate();
    }
  });
});
