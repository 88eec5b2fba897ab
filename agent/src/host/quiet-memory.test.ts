// SPDX-License-Identifier: Apache-2.0
/** When memory is given back, and that nothing wakes the agent afterwards. */
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Log } from './log.ts';
import { QuietMemory } from './quiet-memory.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface Told {
  readonly acts: string[];
  readonly logged: string[];
  mayRelease: boolean;
}

async function nothing(): Promise<void> {}

function quietMemory(release = nothing, populate = nothing): { memory: QuietMemory; told: Told } {
  const told: Told = { acts: [], logged: [], mayRelease: true };
  const log: Log = (level, event) => void told.logged.push(`${level} ${event}`);
  const memory = new QuietMemory({
    memory: {
      releaseUnused: async () => {
        told.acts.push('release');
        await release();
      },
      populatePrograms: async () => {
        told.acts.push('populate');
        await populate();
      },
    },
    log,
    mayRelease: () => told.mayRelease,
    quietMs: 1000,
    collect: () => void told.acts.push('collect'),
  });
  return { memory, told };
}

it('collects garbage and gives memory back once nothing was done for a while', async () => {
  const { memory, told } = quietMemory();
  for (let call = 0; call < 5; call += 1) {
    memory.used();
    await vi.advanceTimersByTimeAsync(999);
  }
  expect(told.acts).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(told.acts).toEqual(['collect', 'release']);
});

it('leaves no timer behind until something is done again, and says it once where everybody reads it', async () => {
  const { memory, told } = quietMemory();
  memory.used();
  await vi.advanceTimersByTimeAsync(1000);
  expect(vi.getTimerCount()).toBe(0);
  memory.used();
  await vi.advanceTimersByTimeAsync(1000);
  expect(told.acts).toHaveLength(4);
  expect(told.logged).toEqual(['info idle', 'debug idle']);
  expect(vi.getTimerCount()).toBe(0);
});

it('gives nothing back while it must not, nor after it was stopped', async () => {
  const { memory, told } = quietMemory();
  told.mayRelease = false;
  memory.used();
  await vi.advanceTimersByTimeAsync(1000);
  told.mayRelease = true;
  memory.used();
  memory.stop();
  await vi.advanceTimersByTimeAsync(5000);
  expect(told.acts).toEqual([]);
});

it('has all of it mapped when it is needed, gives nothing back meanwhile, and says why that fails', async () => {
  const { memory, told } = quietMemory(nothing, () => Promise.reject(new Error('no')));
  memory.used();
  await memory.needed();
  await vi.advanceTimersByTimeAsync(5000);
  expect(told.acts).toEqual(['populate']);
  expect(told.logged).toEqual(['warning the agent’s program could not be mapped']);
});

it('says why memory could not be given back', async () => {
  const { memory, told } = quietMemory(() => Promise.reject(new Error('no')));
  memory.used();
  await vi.advanceTimersByTimeAsync(1000);
  expect(told.logged).toEqual(['warning memory could not be given back']);
});

it('the unit lets it collect, and has V8 neither wake the agent nor throw compiled functions away', () => {
  const unit = readFileSync(
    new URL(
      '../../../build/agent-package/root/usr/lib/systemd/system/luo-console-agent.service',
      import.meta.url,
    ),
    'utf8',
  );
  const words = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.split(' ') ?? [];
  expect(words).toEqual(
    expect.arrayContaining([
      '--expose-gc',
      '--no-memory-reducer',
      '--no-parallel-scavenge',
      '--no-flush-bytecode',
    ]),
  );
});
