// SPDX-License-Identifier: Apache-2.0
/** The steps of set-up: their order, and what an interrupted or failed one leaves. */
import { describe, expect, it } from 'vitest';
import { withPrerequisites } from '../src/setup/needs.ts';
import { runSteps, type Step, StepFailed } from '../src/step.ts';

/** A display that keeps what it was told. */
function recorder() {
  const seen: string[] = [];
  const show = (name: string) => ({
    detail: (text: string) => seen.push(`${name}: ${text}`),
    done: () => seen.push(`${name}: done`),
    failed: () => seen.push(`${name}: failed`),
  });
  return { seen, show };
}

/** Steps whose work is to be in `made`; the one named in `breaks` fails. */
function steps(made: Set<string>, names: readonly string[], breaks = new Set<string>()): Step[] {
  return names.map((name) => ({
    name,
    isDone: async () => made.has(name),
    async run() {
      if (breaks.has(name)) throw new Error('no network');
      made.add(name);
    },
  }));
}

describe('runSteps', () => {
  it('runs in order what is not done, and nothing the second time', async () => {
    const made = new Set(['b']);
    const { seen, show } = recorder();
    expect(await runSteps(steps(made, ['a', 'b', 'c']), show)).toEqual(['a', 'c']);
    expect(seen).toEqual(['a: done', 'c: done']);
    expect(await runSteps(steps(made, ['a', 'b', 'c']), show)).toEqual([]);
    expect(seen).toHaveLength(2);
  });

  it('stops at the first failure, names the step, and goes on from there', async () => {
    const made = new Set<string>();
    const breaks = new Set(['b']);
    const { seen, show } = recorder();
    const failure = await runSteps(steps(made, ['a', 'b', 'c'], breaks), show).catch((error) => error);
    expect(failure).toBeInstanceOf(StepFailed);
    expect(failure.message).toBe('set-up failed at "b": no network');
    expect(seen).toEqual(['a: done', 'b: failed']);
    breaks.clear();
    expect(await runSteps(steps(made, ['a', 'b', 'c'], breaks), show)).toEqual(['b', 'c']);
  });

  it('names the step whose look fails', async () => {
    const step: Step = {
      name: 'a',
      isDone: () => Promise.reject(new Error('EACCES')),
      run: async () => {},
    };
    await expect(runSteps([step], recorder().show)).rejects.toThrow('set-up failed at "a": EACCES');
  });

  it('shows a step that looks for itself only when it has something to do', async () => {
    const { seen, show } = recorder();
    const quiet: Step = { name: 'quiet', run: async () => {} };
    const busy: Step = { name: 'busy', run: async (detail) => detail('compiling') };
    expect(await runSteps([quiet, busy], show)).toEqual(['busy']);
    expect(seen).toEqual(['busy: compiling', 'busy: done']);
  });
});

describe('withPrerequisites', () => {
  it('adds what is needed first, each once, in order', () => {
    expect(withPrerequisites(['image', 'addon'])).toEqual([
      'packages',
      'addon',
      'agent package',
      'kernels',
      'image',
    ]);
  });

  it('keeps the quick loop quick', () => {
    expect(withPrerequisites(['addon'])).toEqual(['packages', 'addon']);
  });
});
