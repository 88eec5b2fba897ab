// SPDX-License-Identifier: Apache-2.0
/** Whether a machine can be saved, and is still as it was when everything was made ready. Asked while its guest runs. */
import { visible } from '../host/plain-words.ts';
import { canBeSaved } from '../qemu/guest-states.ts';
import type { VmmMonitor } from '../qemu/migration-monitor.ts';

/** A machine cannot be saved as it is now. */
export class NotSavable extends Error {
  override readonly name = 'NotSavable';
}

/**
 * @throws NotSavable if somebody else migrates, saves or loads the machine, or has migrated it; QmpError; the signal's
 *   reason
 */
export async function needSavable(monitor: VmmMonitor, signal: AbortSignal): Promise<void> {
  const [status, isMigrating] = await Promise.all([monitor.statusNow(signal), monitor.isMigrating(signal)]);
  monitor.guest.is(status);
  if (!canBeSaved(status))
    throw new NotSavable(`its state is "${visible(status)}": somebody has migrated it, or saves or loads it`);
  if (isMigrating) throw new NotSavable('somebody else is migrating it');
}

/**
 * Looks again, as somebody may have paused the machine, have let it run, or have plugged devices.
 *
 * @param devices that it had; null if QEMU cannot tell
 * @throws NotSavable also if it has other ones; QmpError; the signal's reason
 */
export async function needAsBefore(
  monitor: VmmMonitor,
  devices: readonly string[] | null,
  signal: AbortSignal,
): Promise<void> {
  const [now] = await Promise.all([monitor.deviceIds(signal), needSavable(monitor, signal)]);
  const { problem } = monitor.guest;
  if (problem !== null) throw new NotSavable(problem);
  if (devices === null || now === null) return;
  const [added, removed] = [without(now, devices), without(devices, now)];
  const said = [
    ...added.map((id) => `its device ${visible(id)} has been added`),
    ...removed.map((id) => `its device ${visible(id)} has been removed`),
  ];
  if (said.length > 0) throw new NotSavable(said.join('; '));
}

const without = (ids: readonly string[], others: readonly string[]): string[] =>
  ids.filter((id) => !others.includes(id));
