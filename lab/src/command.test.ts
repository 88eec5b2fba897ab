// SPDX-License-Identifier: Apache-2.0
/** Running programs: where they are looked for, and what one that failed says. */
import { afterEach, expect, test, vi } from 'vitest';
import { command } from './command.ts';

afterEach(() => void vi.unstubAllEnvs());

test('finds the programs that an ordinary user has not in PATH: chroot, mke2fs', async () => {
  vi.stubEnv('PATH', '/usr/bin:/bin');
  expect(await command('sh', ['-c', 'command -v chroot'])).toMatch(/\/sbin\/chroot$/);
  expect(await command('sh', ['-c', 'echo "$PATH"'])).toMatch(/^\/usr\/bin:\/bin:/);
});

test('a failure says which program, how it ended and what it said last', async () => {
  const failed = command('sh', ['-c', 'echo output; echo why >&2; exit 3']);
  await expect(failed).rejects.toThrow(/^sh -c .*: exit status 3\noutput\nwhy$/);
  await expect(command('no-such-program', [])).rejects.toThrow(/no-such-program/);
});
