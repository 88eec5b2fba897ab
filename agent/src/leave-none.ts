// SPDX-License-Identifier: Apache-2.0
/** Before the agent ends: whatever it has begun with machines is brought to an end, so that none is left stopped. */
import type { Native } from '@luo-console/native';
import type { Log } from './host/log.ts';
import { saidBy } from './host/said-by.ts';
import { tellManager } from './host/tell-manager.ts';
import type { Journal } from './journal/index.ts';
import type { Renewals } from './renewal/renewals.ts';
import type { Updater } from './update/updater.ts';

interface Left {
  readonly native: Native;
  readonly log: Log;
  readonly journal: Pick<Journal, 'writeAll'>;
  readonly renewals: Pick<Renewals, 'end' | 'stopped'>;
  readonly updater: Pick<Updater, 'leaveNone'>;
}

/** How often the service manager hears that ending goes on, in ms, and how much longer it is to wait each time. */
const extendEveryMs = 10_000;
const extendStop = `EXTEND_TIMEOUT_USEC=${60_000_000}`;

/** What it does is said at `RunningAgent`. It never throws: what fails is logged. */
export async function leaveNone(
  { native, log, journal, renewals, updater }: Left,
  reason: string,
): Promise<void> {
  tellManager(native, log, `STOPPING=1\n${extendStop}`);
  // Saving or undoing may take longer than the service manager waits.
  const extending = setInterval(() => tellManager(native, log, extendStop), extendEveryMs);
  try {
    const waiting = (stopped: readonly string[]): void => {
      log('warning', 'machines are still stopped, and the agent does not end before they run', { stopped });
      const what = `waits for machines that do not run yet: ${stopped.join(', ')}`;
      tellManager(native, log, `STATUS=stopping; ${what}`);
    };
    await endRenewals(renewals, log, waiting);
    await updater.leaveNone(reason, waiting);
    journal.writeAll();
  } catch (error) {
    log('error', 'what must be left behind in order is not', { problem: saidBy(error) });
  } finally {
    clearInterval(extending);
  }
}

/** The next agent goes on with a renewal that takes its time. But there may be none, so no guest is left stopped. */
async function endRenewals(
  renewals: Left['renewals'],
  log: Log,
  waiting: (stopped: readonly string[]) => void,
): Promise<void> {
  for (;;) {
    try {
      await renewals.end('the agent ends');
      return;
    } catch (error) {
      log('warning', 'a renewal may be under way still', { problem: saidBy(error) });
      const { stopped } = renewals;
      if (stopped.length === 0) return;
      waiting(stopped);
    }
  }
}
