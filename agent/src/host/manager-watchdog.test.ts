// SPDX-License-Identifier: Apache-2.0
/** Whom the watchdog is satisfied for, and how often. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { satisfyWatchdog } from './manager-watchdog.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** What the manager is told within a minute. */
function toldInAMinute(environment: Record<string, string>): string[] {
  const told: string[] = [];
  const serviceManager = { notify: (state: string) => told.push(state) > 0, takeListenFds: () => [] };
  satisfyWatchdog({ serviceManager }, () => {}, environment);
  vi.advanceTimersByTime(60_000);
  return told;
}

it.each<[string, Record<string, string>, number]>([
  ['at once, and four times as often as the manager asks for', { WATCHDOG_USEC: '60000000' }, 5],
  ['also with the number of this process', { WATCHDOG_USEC: '60000000', WATCHDOG_PID: `${process.pid}` }, 5],
  ['never if the manager watches another process', { WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1' }, 0],
  ['never if it watches none', {}, 0],
  ['never for a time that is no number', { WATCHDOG_USEC: 'soon' }, 0],
])('it is told %s', (_what, environment, times) => {
  expect(toldInAMinute(environment)).toEqual(Array.from({ length: times }, () => 'WATCHDOG=1'));
});

it('the unit asks for it, and has the agent started again', () => {
  const unit = readFileSync(
    new URL(
      '../../../build/agent-package/root/usr/lib/systemd/system/luo-console-agent.service',
      import.meta.url,
    ),
    'utf8',
  );
  expect(/^WatchdogSec=(.*)$/m.exec(unit)?.[1]).toBe('60s');
  expect(/^Restart=(.*)$/m.exec(unit)?.[1]).toBe('always');
});
