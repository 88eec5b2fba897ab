// SPDX-License-Identifier: Apache-2.0
/** The main job on trixie: its service manager does not carry descriptors through a kexec itself. */
import { describe } from 'vitest';
import { mainJob } from '../support/main-job.ts';

describe('the main job on trixie', () => mainJob('trixie', /systemd 257/));
