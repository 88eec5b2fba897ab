// SPDX-License-Identifier: Apache-2.0
/** All that an agent would say, for tests of the window alone. */

export * from './fake-hosts.ts';
export * from './fake-journal.ts';
export * from './fake-machines.ts';
export * from './fake-progress.ts';
export * from './fake-updates.ts';
