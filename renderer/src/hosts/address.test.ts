// SPDX-License-Identifier: Apache-2.0
/** Addresses of hosts, right and wrong. */
import { describe, expect, test } from 'vitest';
import { addressError, addressExamples, suggestedName } from './address.ts';

describe('addresses of hosts', () => {
  test.each([...addressExamples, 'ssh://kim@[fe80::1]:22', 'ssh://127.0.0.1:10022', 'unix:/tmp/a.sock'])(
    '%s is one',
    (address) => {
      expect(addressError(address)).toBeNull();
    },
  );

  test.each([
    ['', 'Needed'],
    ['hv-01', 'must begin with'],
    ['unix:run/agent', 'absolute path'],
    ['ssh://', 'USER@'],
    ['ssh://a b', 'USER@'],
    ['ssh://-oProxyCommand=x', 'USER@'],
    ['ssh://hv-01/path', 'USER@'],
    ['ssh://hv-01:0', 'Port 0'],
    ['ssh://hv-01:70000', 'Port 70000'],
  ])('%j is none', (address, says) => {
    expect(addressError(address)).toContain(says);
  });

  test('a name is suggested', () => {
    expect(suggestedName('ssh://root@hv-01.example.net:22')).toBe('hv-01');
    expect(suggestedName('unix:/run/agent')).toBe('This machine');
    expect(suggestedName('nonsense')).toBe('');
  });
});
