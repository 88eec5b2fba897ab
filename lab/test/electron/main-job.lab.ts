// SPDX-License-Identifier: Apache-2.0
/** The main job on sid. `npm run test:conformance` has it on trixie, whose service manager is an older one. */
import { describe } from 'vitest';
import { mainJob } from '../support/main-job.ts';

describe('the main job on sid', () => mainJob('sid', /systemd 26\d/));
