// SPDX-License-Identifier: Apache-2.0
/** What only a process of its own can show: signals, closed pipes, its name. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { sampleStatus, serveAgent } from '../client/fake-agent.fixture.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

function ended(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve) => child.once('exit', (status, signal) => resolve(status ?? signal)));
}

const firstOutput = (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => child.stdout?.once('data', (data: Buffer) => resolve(data.toString())));

describe('luocon as a program', () => {
  it('prints its version', async () => {
    const child = start('--version');
    expect(await firstOutput(child)).toMatch(/^[0-9]+\.[0-9]+\.[0-9]+\n$/);
    expect(await ended(child)).toBe(0);
  });

  it('ends with 130 when interrupted, and is known to the agent by its name', async () => {
    const names: string[] = [];
    const { address } = serveAgent({
      GetStatus: async (_, call) => {
        names.push(readFileSync(`/proc/${call.peer.pid}/comm`, 'utf8').trim());
        await call.reply({ status: sampleStatus });
        await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
        return { status: sampleStatus };
      },
    });
    const child = start('--host', address, 'status', '--follow');
    expect(await firstOutput(child)).toContain('lab-one');
    child.kill('SIGINT');
    expect(await ended(child)).toBe(130);
    expect(names).toEqual(['luocon']);
  });

  it('can be interrupted while it waits for an answer that does not come', async () => {
    const called = Promise.withResolvers<void>();
    const { address } = serveAgent({
      AbortUpdate: async (_, call) => {
        called.resolve();
        await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
        throw new Error('nobody waits any more');
      },
    });
    const child = start('--host', address, 'abort');
    await called.promise;
    child.kill('SIGINT');
    expect(await ended(child)).toBe(130);
  });

  it('does not mind a reader that has seen enough', async () => {
    const { address } = serveAgent({
      ExportJournal: async (_, call) => {
        while (!call.signal.aborted) await call.reply({ lines: `${'x'.repeat(60_000)}\n` });
        return { lines: '' };
      },
    });
    const child = start('--host', address, 'journal', '--export', '-');
    await firstOutput(child);
    let complaint = '';
    child.stderr?.on('data', (data: Buffer) => {
      complaint += data.toString();
    });
    child.stdout?.destroy();
    expect(await ended(child)).toBe(0);
    expect(complaint).toBe('');
  });
});
