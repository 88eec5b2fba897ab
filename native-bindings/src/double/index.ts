// SPDX-License-Identifier: Apache-2.0
/** The in-memory double of the live update part of the face: for tests only, never shown as real. */
export { type DoubleOptions, LiveUpdateDouble } from './live-update-double.ts';
export type { DoubleEvent } from './session.ts';
