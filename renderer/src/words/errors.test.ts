// SPDX-License-Identifier: Apache-2.0
/** The words for errors, sentences and names. */
import { AgentInterface } from '@luo-console/agent/interface';
import { describe, expect, test } from 'vitest';
import { Failure, toFailure } from '../bridge/failure.ts';
import { plainName } from './descriptors.ts';
import { explain } from './errors.ts';
import { fullSentence, sentence } from './sentence.ts';

test('what the agent says begins like a sentence, what it names stays as it is', () => {
  expect(sentence('live update number 1, one more than before')).toBe(
    'Live update number 1, one more than before',
  );
  expect(sentence('web-01 is gone')).toBe('web-01 is gone');
  expect(sentence('web (pid 7): not adopted')).toBe('web (pid 7): not adopted');
  expect(sentence('/boot/vmlinuz is gone')).toBe('/boot/vmlinuz is gone');
  expect(sentence('')).toBe('');
  expect(fullSentence('it runs on')).toBe('It runs on.');
  expect(fullSentence('It runs.')).toBe('It runs.');
  expect(fullSentence('')).toBe('');
});

test('a memfd does not look as if it were deleted', () => {
  expect(plainName('memory-holder: /memfd:memory-1 (deleted)')).toBe('memory-holder: memory-1');
  expect(plainName('/dev/shm/cache (deleted)')).toBe('/dev/shm/cache');
  expect(plainName('(deleted)')).toBe('(deleted)');
});

describe('failures', () => {
  test('an error of the agent keeps its name and parameters', () => {
    const failure = toFailure({
      error: 'io.luoconsole.Agent.TokenInUse',
      parameters: { session: 'web', token: '0x1' },
      message: 'in use',
    });
    expect(failure.name).toBe('TokenInUse');
    expect(explain(failure).title).toBe('The token 0x1 is in use in web');
  });

  test('what has no name is shown by its message', () => {
    expect(explain(toFailure(new Error('the pipe broke'))).title).toBe('the pipe broke');
    expect(explain(toFailure('odd')).title).toBe('odd');
  });

  test.each(Object.keys(AgentInterface.errors))('%s is explained in words', (name) => {
    const words = explain(new Failure(name, {}, name));
    expect(words.title).not.toBe(name);
  });

  test('an unavailable live update is explained by what the agent found', () => {
    const words = explain(
      new Failure(
        'NoLiveUpdate',
        { availability: 'not_enabled', explanation: 'the kernel command line has no liveupdate=on' },
        '',
      ),
    );
    expect(words).toEqual({
      title: 'Live update is not switched on',
      advice: 'The kernel command line has no liveupdate=on.',
    });
  });

  // What the agent puts in is no sentence; beside other sentences it has to be one.
  test.each<[string, Record<string, unknown>, string]>([
    [
      'PlanStale',
      { changed: 'the host was booted since' },
      'The host was booted since. Make the plan again.',
    ],
    ['PlanNotRunnable', { reason: 'memory: 2 MiB are free' }, 'Memory: 2 MiB are free.'],
    ['MachineUnusable', { pid: 7, name: 'web', reason: 'it is not adopted' }, 'It is not adopted.'],
    [
      'NotPreservable',
      { kind: 'memfd', reason: 'it carries seals that this kernel cannot preserve' },
      'It carries seals that this kernel cannot preserve.',
    ],
    ['FileUnusable', { path: '/x', reason: 'expected an absolute path' }, 'Expected an absolute path.'],
    ['DefinitionInvalid', { path: '/x', reason: 'it belongs to user 7' }, 'It belongs to user 7.'],
    [
      'KernelRejected',
      { path: '/x', reason: 'its signature is not trusted', errno: 'EKEYREJECTED' },
      'Its signature is not trusted (EKEYREJECTED).',
    ],
    [
      'KernelCallFailed',
      { call: 'ioctl', errno: 'EBUSY', message: 'EBUSY: Device or resource busy, ioctl' },
      'EBUSY: Device or resource busy, ioctl.',
    ],
    [
      'WrongPhase',
      { phase: 'kexec', needed: 'a phase before the kexec' },
      'Expected: a phase before the kexec.',
    ],
  ])('%s advises in whole sentences', (name, parameters, advice) => {
    expect(explain(new Failure(name, parameters, name)).advice).toBe(advice);
  });
});
