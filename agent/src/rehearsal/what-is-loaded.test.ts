// SPDX-License-Identifier: Apache-2.0
/** Which states are loaded in a rehearsal, and what is made of one that could not be: the machine's problem, or not. */
import { describe, expect, it } from 'vitest';
import { NotSavable } from '../adoption/savable.ts';
import type { Machine } from '../interface/agent.generated.ts';
import { sampleMachine } from '../luocon/machine.fixture.ts';
import { QmpError, type QmpFailure } from '../qemu/qmp-client.ts';
import { StreamError } from '../qemu/streams.ts';
import { DoesNotRunOn, GuestPaused, TookTooLong } from './take-state.ts';
import { saidOfMachine, whyNotLoaded } from './what-is-loaded.ts';

const memory = (kind: Machine['descriptors'][number]['kind']): Machine => ({
  ...sampleMachine,
  descriptors: sampleMachine.descriptors.map((each) => (each.guestMemory ? { ...each, kind } : each)),
});

describe('a state', () => {
  it('is loaded over a private view of memory that is in small pages', () => {
    expect(whyNotLoaded('named_memory', memory('memfd'))).toBeNull();
  });

  it.each<[string, Parameters<typeof whyNotLoaded>, string]>([
    ['of memory that is handed over', ['cpr', memory('memfd')], 'no second VMM can have a private view'],
    ['with its memory in it', ['whole_state', memory('memfd')], 'its memory is part of its state'],
    ['beside a memfd of huge pages', ['named_memory', memory('hugetlb')], 'its memory is in hugetlbfs'],
    ['of an old QEMU', ['named_memory', { ...memory('memfd'), version: '8.1.9' }], 'for reading only'],
  ])('%s is not, and that is said', (_what, [way, machine], why) => {
    expect(whyNotLoaded(way, machine)).toMatch(new RegExp(`^loading its state: .*${why}`));
  });
});

const qmp = (failure: QmpFailure, message = 'why') => new QmpError(failure, message);

describe('a state that could not be taken', () => {
  it.each([
    ['QEMU refuses', qmp('refused', 'State blocked by device x')],
    ['QEMU says something else', qmp('malformed')],
    ['QEMU sends none', new StreamError('QEMU sent no state')],
    ['it is larger than any may be', Object.assign(new Error('too large'), { code: 'EFBIG', errno: 27 })],
    ['its new VMM takes nothing in', new TookTooLong('late', 'loading')],
    ['its guest does not run on, whatever the reason', new DoesNotRunOn('Cannot allocate memory')],
  ])('is a problem of the machine where %s', (_why, error) => {
    expect(saidOfMachine(error)).toEqual({
      problem: expect.stringMatching(new RegExp(`^its state cannot be (taken|loaded): ${error.message}`)),
    });
  });

  it.each([
    ['its monitor has another client', qmp('busy')],
    ['its monitor does not answer', qmp('silent')],
    ['its monitor is gone', qmp('unreachable')],
    ['its monitor has ended the connection', qmp('ended')],
    ['its monitor is another process', qmp('stranger')],
    ['QEMU has no memory for it', qmp('refused', 'Cannot allocate memory')],
    ['somebody saves it', new NotSavable('somebody else is migrating it')],
    ['its guest is paused', new GuestPaused('its guest does not run')],
    ['saving it takes longer than its guest may be stopped', new TookTooLong('late', 'saving')],
    ['it is so large that copying it would', new TookTooLong('large', 'copying')],
    ['the host has no memory for it', Object.assign(new Error('ENOMEM'), { code: 'ENOMEM', errno: 12 })],
  ])('says nothing of the machine where %s', (_why, error) => {
    expect(saidOfMachine(error)).toEqual({ left: expect.stringMatching(/^loading its state: /) });
  });
});
