// SPDX-License-Identifier: Apache-2.0
/**
 * What would happen if a process ended that is in somebody else's unit. A service may be started again then, run other
 * commands, or have its directories removed. All of that would reach the VMM that has taken the process's place.
 */
import { type BusValue, Variant } from './bus-message.ts';
import { ask } from './machine-unit.ts';
import type { ManagerBus } from './manager-bus.ts';

const serviceInterface = 'org.freedesktop.systemd1.Service';
const unitInterface = 'org.freedesktop.systemd1.Unit';

/** Properties that are lists, and why none may have anything in it (org.freedesktop.systemd1(5)). */
const lists: readonly (readonly [from: string, name: string, why: string])[] = [
  [serviceInterface, 'ExecStop', 'runs commands when it stops (ExecStop)'],
  [serviceInterface, 'ExecStopPost', 'runs commands once it has stopped (ExecStopPost)'],
  [serviceInterface, 'RuntimeDirectory', 'has its directory below /run removed when it stops'],
  [unitInterface, 'OnSuccess', 'starts another unit when it has ended (OnSuccess)'],
  [unitInterface, 'OnFailure', 'starts another unit when it has failed (OnFailure)'],
];

async function property(bus: ManagerBus, path: string, from: string, name: string): Promise<BusValue> {
  const target = { path, interface: 'org.freedesktop.DBus.Properties' };
  const [found] = await bus.call('Get', 'ss', [from, name], target);
  return found instanceof Variant ? found.value : '';
}

/**
 * Why a process of a unit should not be ended as long as another one does its work. Null if nothing comes of it.
 *
 * @param unit with its suffix. Of others than services nothing depends on a single process.
 * @param socket the service manager's, where it is not the usual one
 * @throws Error in the service manager's words
 */
export async function whyNotEnded(unit: string, socket?: string): Promise<string | null> {
  if (!unit.endsWith('.service')) return null;
  if (unit.startsWith('user@')) return `its VMM is in a unit of a user's service manager (${unit})`;
  return await ask(socket, 'GetUnit', async (bus) => {
    const path = String((await bus.call('GetUnit', 's', [unit]))[0]);
    const restart = await property(bus, path, serviceInterface, 'Restart');
    if (restart !== 'no') return `its unit ${unit} would start another VMM (Restart=${restart})`;
    for (const [from, name, why] of lists) {
      const value = await property(bus, path, from, name);
      if (!Array.isArray(value) || value.length > 0) return `its unit ${unit} ${why}`;
    }
    return null;
  });
}
