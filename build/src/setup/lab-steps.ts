// SPDX-License-Identifier: Apache-2.0
/**
 * What a lab host is made of: two kernels and a root image with the agent's package installed. Tests begin from another
 * host, which was booted before. The lab knows what these are made from and keeps them in the cache. So asking it to
 * build is asking it to look.
 */

import { buildImage, buildKernels, buildSnapshot, type Progress, type Suite } from '@luo-console/lab';
import { packageAgent } from '../package-agent.ts';
import type { Detail, Step } from '../step.ts';

/** Passes the lab's own progress on as the detail of a step. */
function passOn(detail: Detail): (progress: Progress) => void {
  return ({ step, detail: far }) => detail(far === undefined ? step : `${step}, ${far}`);
}

/** The two kernels of the lab. */
export const kernels: Step = {
  name: 'two lab kernels',
  async run(detail) {
    await buildKernels({ onProgress: passOn(detail) });
  },
};

/** The root image of one Debian suite. */
export function imageOf(suite: Suite): Step {
  return {
    name: `root image (${suite})`,
    async run(detail) {
      await buildImage({ suite, deb: await packageAgent(), onProgress: passOn(detail) });
    },
  };
}

/** A host of one Debian suite, booted once for tests to begin from. */
export function snapshotOf(suite: Suite): Step {
  return {
    name: `booted host (${suite})`,
    async run(detail) {
      const onProgress = passOn(detail);
      await buildSnapshot(await buildImage({ suite, deb: await packageAgent() }), undefined, onProgress);
    },
  };
}
