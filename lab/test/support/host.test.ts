// SPDX-License-Identifier: Apache-2.0
/** Which tests a kept host is refused to, before there is any host. */
import { afterEach, expect, test, vi } from 'vitest';
import { freshHost } from './host.ts';

afterEach(() => vi.unstubAllEnvs());

test('a kept host is refused to tests that cannot share it, with their reason', async () => {
  vi.stubEnv('LUO_LAB_KEEP', 'dev');
  await expect(freshHost('many', { reuse: 'its updates are counted' })).rejects.toThrow(
    'LUO_LAB_KEEP=dev: these tests need a host to themselves (test-many), because its updates are counted; ' +
      'run them without it',
  );
});
