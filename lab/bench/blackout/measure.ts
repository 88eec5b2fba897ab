// SPDX-License-Identifier: Apache-2.0
/** The whole measurement on one separate host: first the agent's updates, then the floor's. */
import { basename } from 'node:path';
import { type OnProgress, step } from '../../src/progress.ts';
import { benchHost, kernelsOf } from '../host.ts';
import { measureAgent } from './agent.ts';
import { measureFloor } from './floor.ts';
import { installTemplate } from './guests.ts';
import type { Load } from './parts.ts';
import type { BlackoutMeasured } from './report.ts';

/** Room for the biggest load twice over: the preserved machines, and those that start again beside them. */
const memorySizes = '4G';

/**
 * @param loads which machines
 * @param runs updates of each load
 */
export async function measureBlackout(
  loads: readonly Load[],
  runs: number,
  onProgress: OnProgress,
): Promise<BlackoutMeasured> {
  await using host = await benchHost('blackout', memorySizes, onProgress);
  const template = await installTemplate(host);
  const kernels = (await kernelsOf(host)).map((path) => basename(path).replace('vmlinuz-', ''));
  const all = loads.length * runs;
  const agent = await step(onProgress, 'updates by the agent', (detail) =>
    measureAgent(host, loads, runs, (done) => detail(`${done} of ${all}`)),
  );
  const floor = await step(onProgress, 'updates by the floor', (detail) =>
    measureFloor(host, template, loads, runs, (done) => detail(`${done} of ${all}`)),
  );
  return { kernels, runs, agent, floor };
}
