// SPDX-License-Identifier: Apache-2.0
/** A live update that is under way when the console is closed. */
import { describe, expect, test } from 'vitest';
import { isExpectedBack, wasUpdating } from '../src/connections/update-phase.ts';
import { setUp, startAgent } from './main-process.ts';
import { sampleProgress, sampleStatus } from './samples.ts';

describe('a live update under way when the console is closed', () => {
  test('is picked up by the next run while the host is away, until it is back', async () => {
    const first = setUp();
    const before = startAgent(first.path);
    before.status = { ...before.status, phase: 'kexec', progress: sampleProgress('kexec') };
    first.connections.connect(first.id);
    await first.state('connected');
    await before.close();
    await first.state('away');
    await first.end();

    const second = setUp(first.folder);
    expect(second.connections.view(second.id)).toMatchObject({ state: 'disconnected' });
    second.connections.resume();
    await second.state('away');
    expect(second.connections.view(second.id)).toMatchObject({
      detail: expect.stringMatching(/^Replacing its kernel/),
      status: { phase: 'kexec', progress: { phase: 'kexec' } },
    });
    const after = startAgent(second.path);
    after.status = { ...after.status, bootId: 'boot-2', kernelRelease: '7.3.4-b' };
    await second.state('connected');
    expect(second.connections.view(second.id).status).toMatchObject({ bootId: 'boot-2', progress: null });
  });

  test('is the only reason to connect without being asked', async () => {
    const first = setUp();
    startAgent(first.path);
    first.connections.connect(first.id);
    await first.state('connected');
    await first.end();
    const second = setUp(first.folder);
    second.connections.resume();
    expect(second.connections.view(second.id).state).toBe('disconnected');
  });
});

const minuteUs = 60_000_000;

test.each([
  [59, 'kexec', true],
  [61, 'kexec', false],
  [1, 'normal', false],
  [1, 'preserving', false],
] as const)(
  '%i minutes after phase %s a host that is not there is expected back: %s',
  (minutes, phase, expected) => {
    const heard = { status: sampleStatus({ phase }), statusAtUs: 0 };
    expect(isExpectedBack(heard, minutes * minuteUs)).toBe(expected);
  },
);

test('an update was under way if the last word, lately, had its progress', () => {
  const status = sampleStatus({ progress: sampleProgress('preserving') });
  expect(wasUpdating({ status, statusAtUs: 0 }, minuteUs)).toBe(true);
  expect(wasUpdating({ status, statusAtUs: 0 }, 61 * minuteUs)).toBe(false);
  expect(wasUpdating({ status: sampleStatus(), statusAtUs: 0 }, minuteUs)).toBe(false);
  expect(wasUpdating({ status: null, statusAtUs: null }, minuteUs)).toBe(false);
});
