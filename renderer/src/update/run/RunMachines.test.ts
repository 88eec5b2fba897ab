// SPDX-License-Identifier: Apache-2.0
/** The rows of the machines while they come back. */
import type { MachineRun } from '@luo-console/agent/interface';
import { fireEvent, screen, within } from '@testing-library/svelte';
import { flushSync } from 'svelte';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { machineRun, nowUs } from '../../../test/fake-data.ts';
import { renderInConsole } from '../../../test/in-console.ts';
import { stagesSince, stuckFor } from '../../state/machine-runs.ts';
import { runWords } from '../../words/run.ts';
import RunMachines from './RunMachines.svelte';

const coming = (stage: MachineRun['stage'], detail: string, more: Partial<MachineRun> = {}): MachineRun =>
  machineRun({ stage, detail, newPid: null, blackoutUs: null, suspendedAtUs: nowUs(), parts: [], ...more });

const row = (name: string) => screen.getByRole('row', { name: new RegExp(`^${name}`) });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function later(milliseconds: number): void {
  vi.advanceTimersByTime(milliseconds);
  flushSync();
}

describe('a machine on its way back', () => {
  test('says what it waits for, and shows that it goes on once that takes over a second', () => {
    renderInConsole(RunMachines, { machines: [coming('retrieving', 'waits for /srv/slow to be mounted')] });
    expect(within(row('web-01')).getByText('Waits for /srv/slow to be mounted')).toBeTruthy();
    expect(screen.queryByRole('progressbar')).toBeNull();
    later(2300);
    const bar = screen.getByRole('progressbar', { name: 'web-01: waits for /srv/slow to be mounted' });
    // It has no value: nobody knows how long it will be.
    expect(bar.hasAttribute('value')).toBe(false);
    expect(within(row('web-01')).getByText('for 2 s')).toBeTruthy();
  });

  test.each(['waiting', 'saved', 'resumed', 'running', 'held', 'left_behind', 'lost'] as const)(
    'shows no progress when it is %s',
    (stage) => {
      renderInConsole(RunMachines, { machines: [coming(stage, '')] });
      later(5000);
      expect(screen.queryByRole('progressbar')).toBeNull();
    },
  );

  test('has its stage for a name if the agent says nothing of it', () => {
    renderInConsole(RunMachines, { machines: [coming('loading', '')] });
    later(1100);
    expect(screen.getByRole('progressbar', { name: 'web-01: Loading' })).toBeTruthy();
  });

  test('is counted from the moment its stage or its detail changed, whatever else did', () => {
    const one = coming('retrieving', 'waits for a');
    const first = stagesSince([], [one], 1000);
    const same = stagesSince(first, [{ ...one, brownoutUs: 5 }], 2000);
    expect(stuckFor(one, same, 4000)).toBe(3000);
    const changed = { ...one, detail: 'waits for b' };
    expect(stuckFor(changed, stagesSince(same, [changed], 5000), 6000)).toBe(1000);
    const another = { ...one, pid: one.pid + 1 };
    expect(stuckFor(another, same, 4000)).toBeNull();
    expect(stuckFor({ ...one, stage: 'resumed' }, same, 4000)).toBeNull();
  });
});

describe('a machine that does not run', () => {
  const held = coming('held', 'it does not run: after 120 s it still waited for /dev/vda', {
    session: 'm:1',
  });

  test('and is held says so with its reason, and leads to where it can be tried again or given up', async () => {
    const { app } = renderInConsole(RunMachines, { machines: [held] });
    expect(row('web-01').textContent).toMatch(
      /Held.*It does not run: after 120 s it still waited for \/dev\/vda\..*try it again or give it up/s,
    );
    await fireEvent.click(screen.getByRole('button', { name: 'Show web-01 in Machines' }));
    expect([app.view, app.selectedMachine]).toEqual([
      'machines',
      { kind: 'held', session: 'm:1', name: 'web-01' },
    ]);
  });

  test('and whose session is not known leads nowhere', () => {
    renderInConsole(RunMachines, { machines: [{ ...held, session: null }] });
    expect(screen.queryByRole('button')).toBeNull();
  });

  test('and is lost says so, and promises nothing', () => {
    renderInConsole(RunMachines, { machines: [coming('lost', 'its state did not come')] });
    expect(row('web-01').textContent).toContain(`Its state did not come. ${runWords.lost}`);
    expect(screen.queryByRole('button')).toBeNull();
  });
});
