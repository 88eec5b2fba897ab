// SPDX-License-Identifier: Apache-2.0
/** Telling the service manager how the agent is. Nothing depends on being heard, so a failure only goes to the log. */
import type { Native } from '@luo-console/native';
import type { Log } from './log.ts';
import { saidBy } from './said-by.ts';

/** @param state assignments as sd_notify(3) has them; not for descriptors, which must be heard of */
export function tellManager(
  { serviceManager }: Pick<Native, 'serviceManager'>,
  log: Log,
  state: string,
): void {
  try {
    serviceManager.notify(state);
  } catch (error) {
    log('warning', 'the service manager could not be told', { state, problem: saidBy(error) });
  }
}
