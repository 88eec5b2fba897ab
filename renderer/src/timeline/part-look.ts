// SPDX-License-Identifier: Apache-2.0
/** The look of each part of a blackout: who owns the time, and its pattern in a tile of 8 by 8 pixels. */
import type { BlackoutPart } from '@luo-console/agent/interface';

export interface PartLook {
  owner: 'before' | 'kernel' | 'userspace';
  /** A path; empty for a plain filling. */
  marks: string;
}

const rising = 'M-2 2l4 -4M0 8l8 -8M6 10l4 -4';
const falling = 'M-2 6l4 4M0 0l8 8M6 -2l4 4';

export const partLook: Record<BlackoutPart, PartLook> = {
  save: { owner: 'before', marks: rising },
  kexec: { owner: 'kernel', marks: '' },
  boot: { owner: 'kernel', marks: `${rising}${falling}` },
  userspace: { owner: 'userspace', marks: '' },
  retrieve: { owner: 'userspace', marks: rising },
  start: { owner: 'userspace', marks: falling },
  load: { owner: 'userspace', marks: 'M0 4h8' },
  resume: { owner: 'userspace', marks: 'M4 0v8' },
};
