// SPDX-License-Identifier: Apache-2.0
/** The end of the agent when it is told to end, at each moment of its life. */
import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { Ending } from './ending.ts';

let happened: string[];
let ending: Ending;

beforeEach(() => {
  happened = [];
  ending = new Ending({
    log: (level, message) => void happened.push(`${level}: ${message}`),
    exit: (status) => void happened.push(`exit ${status}`),
  });
});

const agent = {
  leaveNone: async (reason: string) => void happened.push(`leave none: ${reason}`),
  stop: async () => void happened.push('stop'),
};
const inOrder = ['leave none: the agent was told to end (SIGTERM)', 'stop', 'exit 0'];

describe('an agent that is told to end', () => {
  it('while it starts ends once that is done, and machines run that another agent had stopped', async () => {
    const stopping = ending.stop('SIGTERM');
    await setImmediate();
    expect(happened).toEqual([
      'info: stopping',
      'info: the start is waited for: stopped machines run on first',
    ]);
    ending.started(agent);
    await stopping;
    expect(happened.slice(2)).toEqual(inOrder);
  });

  it.each(['before', 'after', 'later'] as const)(
    'while its start waits for the device, %s, ends once machines run',
    async (when) => {
      const over = new AbortController();
      const machinesRun = Promise.withResolvers<void>();
      if (when === 'before') void ending.stop('SIGTERM');
      ending.startWaits(over.signal, machinesRun.promise);
      if (when === 'after') void ending.stop('SIGTERM');
      await setImmediate();
      expect(happened).not.toContain('exit 0');
      machinesRun.resolve();
      await setImmediate();
      if (when === 'later') void ending.stop('SIGTERM');
      expect(happened.at(-1)).toBe('exit 0');
    },
  );

  it('after its start has waited for the device ends as ever', async () => {
    const over = new AbortController();
    ending.startWaits(over.signal, Promise.resolve());
    over.abort();
    const stopping = ending.stop('SIGTERM');
    await setImmediate();
    expect(happened).not.toContain('exit 0');
    ending.started(agent);
    await stopping;
    expect(happened.slice(-3)).toEqual(inOrder);
  });

  it('more than once ends once', async () => {
    ending.started(agent);
    await Promise.all([ending.stop('SIGTERM'), ending.stop('SIGINT')]);
    expect(happened).toEqual(['info: stopping', ...inOrder]);
  });

  it('and cannot do that in order says so', async () => {
    const stop = () => Promise.reject(new Error('not now'));
    ending.started({ ...agent, stop });
    await ending.stop('SIGTERM');
    expect(happened.slice(-2)).toEqual(['error: could not stop cleanly', 'exit 1']);
  });
});
