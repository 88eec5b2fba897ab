// SPDX-License-Identifier: Apache-2.0
import { AgentInterface } from '@luo-console/agent/interface';
import { describe, expect, test } from 'vitest';
import { Failure, toFailure } from '../bridge/failure.ts';
import { explain } from './words.ts';

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
      new Failure('NoLiveUpdate', { availability: 'not_enabled', explanation: 'No liveupdate=on.' }, ''),
    );
    expect(words).toEqual({ title: 'Live update is not switched on', advice: 'No liveupdate=on.' });
  });
});
