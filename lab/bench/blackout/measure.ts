// SPDX-License-Identifier: Apache-2.0
/** The whole measurement: rounds, in each of which the agent's updates come first and then the floor's. */
import { basename } from 'node:path';
import { type OnProgress, step } from '../../src/progress.ts';
import { benchHost, kernelsOf } from '../host.ts';
import { measureAgent } from './agent.ts';
import { measureFloor } from './floor.ts';
import { installTemplate } from './guests.ts';
import { type Load, type Measured, quickLoads } from './parts.ts';
import type { BlackoutMeasured } from './report.ts';

/** Room for the biggest load twice over: the preserved machines, and those that start again beside them. */
const memorySizes = '4G';

/** Measurements of the same loads together. */
export function together(all: readonly Measured[]): Measured {
  const loads = [...new Set(all.flatMap((measured) => [...measured.keys()]))];
  return new Map(loads.map((load) => [load, all.flatMap((measured) => measured.get(load) ?? [])]));
}

/**
 * Agent and floor take turns, in a freshly booted host each time: what else the machine does meets both alike.
 *
 * @param loads which machines
 * @param runs updates of each load
 */
export async function measureBlackout(
  loads: readonly Load[],
  runs: number,
  onProgress: OnProgress,
): Promise<BlackoutMeasured> {
  const agent: Measured[] = [];
  const floor: Measured[] = [];
  let kernels: string[] = [];
  for (let round = 1; round <= runs; round += 1) {
    await using host = await benchHost('blackout', memorySizes, onProgress);
    const template = await installTemplate(host);
    kernels = (await kernelsOf(host)).map((path) => basename(path).replace('vmlinuz-', ''));
    const measure = async (who: string, work: (onUpdate: (done: number) => void) => Promise<Measured>) =>
      await step(onProgress, `updates by the ${who}, round ${round} of ${runs}`, (detail) =>
        work((done) => detail(`${done} of ${loads.length}`)),
      );
    // The floor begins in a kernel that came by a kexec. So does the agent then, and its program files have been read.
    await step(onProgress, `one update that is not measured, round ${round} of ${runs}`, () =>
      measureAgent(host, quickLoads, 1, () => {}),
    );
    agent.push(await measure('agent', (onUpdate) => measureAgent(host, loads, 1, onUpdate)));
    floor.push(await measure('floor', (onUpdate) => measureFloor(host, template, loads, 1, onUpdate)));
  }
  return { kernels, runs, agent: together(agent), floor: together(floor) };
}
