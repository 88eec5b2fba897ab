// SPDX-License-Identifier: Apache-2.0
/** What kinds of descriptors, and the descriptors themselves, are called. */
import type { Kind } from '@luo-console/agent/interface';

export const kindWords: Record<Kind, string> = {
  memfd: 'memfd',
  tmpfs_unlinked: 'tmpfs, unlinked',
  tmpfs_linked: 'tmpfs, linked',
  hugetlb: 'hugetlb',
  other: 'other',
};

/** A descriptor's label or name without what the kernel adds to every memfd, which has no name in a file system to lose. */
export function plainName(text: string): string {
  return text.replace(/ \(deleted\)$/, '').replace(/\/memfd:/, '');
}
