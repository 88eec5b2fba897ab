// SPDX-License-Identifier: Apache-2.0
/**
 * The lab for programs: tests, and the command that starts the console. `startHost` gives a real
 * host with a real /dev/liveupdate; everything else is a method of what it returns.
 */

export { type Boot, BootError } from './boot.ts';
export { cacheRoot, stateRoot } from './cache.ts';
export { buildGuests, type Guests } from './guests.ts';
export { LabHost, type ShOptions, type ShResult } from './host.ts';
export { buildImage, type Image, type ImageOptions, parseSuite, type Suite } from './image.ts';
export {
  buildKernels,
  buildKernelWithModules,
  type Kernel,
  type Kernels,
  type KernelWithModules,
} from './kernel.ts';
export type { OnProgress, Progress } from './progress.ts';
export { pushAgent } from './push.ts';
export { hostNames, type Wire } from './settings.ts';
export { buildSnapshot } from './snapshot.ts';
export { defaultName, findHost, type StartOptions, startHost } from './start.ts';
export type { Found } from './watch.ts';
