// SPDX-License-Identifier: Apache-2.0
/** The agent as a program: its options, and how it ends when it cannot start. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { agentVersion } from './version.ts';

function luoAgent(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const program = [join(import.meta.dirname, 'main.ts'), ...args];
    execFile(process.execPath, program, { timeout: 15_000 }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe('luo-console-agent as a program', () => {
  it('says its version and its options', async () => {
    expect(await luoAgent('--version')).toEqual({ status: 0, stdout: `${agentVersion}\n`, stderr: '' });
    for (const flag of ['--help', '-h']) {
      const { status, stdout } = await luoAgent(flag);
      expect([status, stdout]).toEqual([0, expect.stringContaining('--state-directory <dir>')]);
    }
  });

  it.each([
    ['--nonsense', "'--nonsense'"],
    ['--socket=relative', "--socket 'relative': expected an absolute path"],
    ['argument', "'argument'"],
  ])('refuses %s, naming it, with status 1', async (argument, named) => {
    const { status, stdout, stderr } = await luoAgent(argument);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toContain(named);
    expect(stderr).not.toContain(' at ');
  });
});
