// SPDX-License-Identifier: Apache-2.0
/** A new version of the agent: its package leaves a file where it may not restart the agent, as in an update. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from './host/log.ts';
import type { HostPaths } from './host/paths.ts';
import type { Phases } from './update/record/phases.ts';

interface Wanting {
  readonly paths: Pick<HostPaths, 'runtime'>;
  readonly phases: Phases;
  readonly log: Log;
}

/** @param restart called once the host is back in phase *normal*, if the file is there */
export function restartWhenWanted({ paths, phases, log }: Wanting, restart: () => Promise<void>): void {
  const wanted = join(paths.runtime, 'restart-wanted');
  // The agent that starts is the new version.
  rmSync(wanted, { force: true });
  phases.events.on('changed', () => {
    if (phases.phase !== 'normal' || !existsSync(wanted)) return;
    log('info', 'a new version is installed: the agent ends to be restarted');
    void restart();
  });
}
