// SPDX-License-Identifier: Apache-2.0
/** The addon's face: `face.ts` documents every call, its units and its errors. */
import { descriptors } from './descriptors.ts';
import type { Native } from './face.ts';
import { kernel } from './kernel.ts';
import { liveUpdate } from './live-update.ts';
import { memory } from './memory.ts';
import { serviceManager } from './service-manager.ts';
import { sockets } from './sockets.ts';

export type * from './face.ts';
export { OwnedDescriptor } from './owned-descriptor.ts';
export { descriptors, kernel, liveUpdate, memory, serviceManager, sockets };

/** All groups at once, for callers that take the whole face as one argument. */
export const native: Native = { liveUpdate, memory, descriptors, sockets, kernel, serviceManager };
