// SPDX-License-Identifier: Apache-2.0
/** What the steps of a plan are called, in the plan and in the progress of its run. */
export const stepIds = {
  load: 'load-kernel',
  index: 'create-index',
  machine: (session: string): string => `preserve:${session}`,
  ready: 'ready-machines',
  suspend: 'suspend-machines',
  digest: (session: string): string => `digest:${session}`,
  announce: 'announce-kexec',
  jump: 'kexec',
} as const;
