// SPDX-License-Identifier: Apache-2.0
/**
 * Telling the service manager that the event loop still has its turns (sd_watchdog_enabled(3)). If it has none for as long
 * as the unit says (`WatchdogSec=`), the manager kills the agent and starts it again.
 *
 * That is what must happen then, also while machines are stopped: nobody else lets them run on. The next agent finds their
 * marks and does it. The kernel's long calls, such as preserving, the last sync and the reboot call, are on other threads
 * and do not count. What may stand in the loop is far shorter than the unit's time.
 */
import type { Native } from '@luo-console/native';
import type { Log } from './log.ts';
import { tellManager } from './tell-manager.ts';

/** Told so many times as often as it has to be: a turn may come late on a busy host. */
const timesAsOften = 4;

/**
 * Tells it from now on, for as long as the process lives. Does nothing if the manager does not watch this process.
 *
 * @param environment `WATCHDOG_USEC` is the manager's time in µs, `WATCHDOG_PID` the process that it watches
 */
export function satisfyWatchdog(
  native: Pick<Native, 'serviceManager'>,
  log: Log,
  environment: Readonly<Record<string, string | undefined>>,
): void {
  const { WATCHDOG_USEC: time, WATCHDOG_PID: pid } = environment;
  const timeUs = /^\d+$/.test(time ?? '') ? Number(time) : 0;
  if (timeUs === 0 || (pid !== undefined && pid !== String(process.pid))) return;
  const tell = (): void => tellManager(native, log, 'WATCHDOG=1');
  tell();
  setInterval(tell, Math.max(1, timeUs / 1000 / timesAsOften)).unref();
}
