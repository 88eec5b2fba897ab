// SPDX-License-Identifier: Apache-2.0
/** Faults that are known not to end as they should. A case that is named here fails once it goes well. */

export interface KnownFault {
  /** The cases, by their names. */
  readonly is: RegExp;
  /** What is seen of each. */
  readonly seen: RegExp;
}

export const knownFaults: readonly KnownFault[] = [
  {
    // Machines run, and nothing is begun. What is looked at before an update begins waits for a file system for ever.
    is: /^prepare: hang(?:, abort)? at fs:files\.(?:stat#[12]|readdir#\d+|lstat#\d+|statfs#\d+)$/,
    seen: /^none.*; it never ends, and an abort does not help/,
  },
  {
    // Machines run. An abort takes effect between two steps: one that the kernel never ends holds it up (`phases.ts`).
    is: /^prepare: hang(?:, abort)? at (?:fs:files\.(?:open#1|stat#3|close#1)|native:(?:kernel\.kexecFileLoad|liveUpdate\.preserveFd|memory\.sha256|memory\.allocate)#\d+)$/,
    seen: /; it never ends, and an abort does not help/,
  },
  {
    // The machine runs. Adopting it waits for the kernel, a file system or the service manager for ever.
    is: /^adopt: hang at (?:fs:files\.(?:open|lstat)#\d+|native:(?:liveUpdate\.preserveFds?#\d+|sockets\.poll#[1245]))$/,
    seen: /^refused; it never ends, and an abort does not help/,
  },
  {
    // The device cannot be opened once: the session is not retrieved, and its memory stays in the kernel, called lost.
    is: /^resume: error at native:liveUpdate\.openDevice#4$/,
    seen: /^unknown; session s has/,
  },
];
