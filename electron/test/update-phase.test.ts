// SPDX-License-Identifier: Apache-2.0
/** What the main process makes of a host's status during a live update. */
import type { Phase, Status } from '@luo-console/agent/interface';
import { describe, expect, it } from 'vitest';
import { isReplacingKernel, kexecIsDue } from '../src/connections/update-phase.ts';
import { sampleProgress, sampleStatus } from './samples.ts';

const statusIn = (phase: Phase, graceEndsAtUs: number | null): Status =>
  sampleStatus({ phase, progress: { ...sampleProgress(phase), graceEndsAtUs } });

describe('a host in a live update', () => {
  it.each<[Phase, number | null, { replacing: boolean; due: boolean }]>([
    ['preserving', null, { replacing: false, due: false }],
    ['prepared', null, { replacing: false, due: false }],
    // The kexec is announced; what follows may be too short to be heard of.
    ['prepared', 5, { replacing: true, due: false }],
    ['suspending', null, { replacing: true, due: true }],
    ['kexec', null, { replacing: true, due: true }],
    ['retrieving', null, { replacing: true, due: false }],
  ])('in %s, its grace ending at %s', (phase, graceEndsAtUs, expected) => {
    const status = statusIn(phase, graceEndsAtUs);
    expect({ replacing: isReplacingKernel(status), due: kexecIsDue(status) }).toEqual(expected);
  });
});
