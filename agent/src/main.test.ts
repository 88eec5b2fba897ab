// SPDX-License-Identifier: Apache-2.0
/** The agent as a program: its options, and how it ends when it cannot start. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
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

  it('is not ended by a signal while it starts: machines that are stopped run first', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'luo-console-test-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    // Nobody can listen there, which ends the start before it does anything to this host.
    const file = join(directory, 'file');
    writeFileSync(file, '');
    const socket = join(file, 'agent.sock');
    const args = ['--state-directory', join(directory, 'state'), '--socket', socket];
    const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LUO_LOG: 'nonsense' },
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let said = '';
    child.stderr.on('data', (data) => {
      said += String(data);
      // What it says first.
      if (said.includes('LUO_LOG is no level') && !child.killed) child.kill('SIGTERM');
    });
    expect(await once(child, 'exit')).toEqual([1, null]);
    expect(said).toMatch(/stopping why="SIGTERM"\n.*the start is waited for.*\n(.*\n)*.*could not start/);
  });
});
