// SPDX-License-Identifier: Apache-2.0
/** Faults that are known not to end as they should. A case that is named here fails once it goes well. */

export interface KnownFault {
  /** The cases, by their names. */
  readonly is: RegExp;
  /** What is seen of each. */
  readonly seen: RegExp;
}

export const knownFaults: readonly KnownFault[] = [];
