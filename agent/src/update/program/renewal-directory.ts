// SPDX-License-Identifier: Apache-2.0
/**
 * The directory in which a machine's new VMM is started beside its old one. What is in there tells another agent whether
 * the guest may run there already. The mark behind the state ended with the agent that had that.
 */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Native } from '@luo-console/native';
import { whatItDid } from './restore-machine.ts';

const loaded = (directory: string): string => join(directory, 'loaded');

/** Notes that the state is loaded. The carrier's own log goes with the attempt. */
export const noteLoaded = (directory: string): void => writeFileSync(loaded(directory), '');

/** Whether the carrier has loaded the state: behind that it lets the guest run. @param directory of a renewal */
export const mayHaveRun =
  (native: Native) =>
  (directory: string): boolean => {
    if (existsSync(loaded(directory))) return true;
    const attempts = existsSync(directory) ? readdirSync(directory) : [];
    return attempts.some((each) => whatItDid(native, join(directory, each)).reached.has('loaded'));
  };
