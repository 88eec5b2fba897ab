// SPDX-License-Identifier: Apache-2.0
import type { Phase, Progress } from '@luo-console/agent/interface';
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { type FakeBridge, failure } from '../../test/fake-bridge.ts';
import { nowUs, second, update } from '../../test/fake-data.ts';
import { openConsole } from '../../test/open-console.ts';

function progress(phase: Phase, more: Partial<Progress> = {}): Progress {
  return {
    update: 'u-0004',
    phase,
    phaseStartedAtUs: nowUs(),
    startedAtUs: nowUs() - second,
    step: null,
    message: `at ${phase}`,
    done: null,
    total: null,
    graceEndsAtUs: null,
    ...more,
  };
}

async function plan(prepare?: (bridge: FakeBridge) => void): Promise<FakeBridge> {
  const bridge = await openConsole(prepare);
  await fireEvent.click(screen.getByRole('link', { name: 'Live update' }));
  await fireEvent.click(await screen.findByRole('button', { name: 'Plan live update' }));
  await screen.findByRole('list', { name: 'Steps' });
  return bridge;
}

async function run(): Promise<FakeBridge> {
  const bridge = await plan();
  await fireEvent.click(screen.getByRole('button', { name: 'Run live update' }));
  const button = screen.getByRole<HTMLButtonElement>('button', {
    name: 'Replace the kernel of hv-01: 7.3.4-a → 7.3.4-b',
  });
  expect(button.disabled).toBe(true);
  await fireEvent.input(screen.getByLabelText('Type hv-01 to confirm'), { target: { value: 'hv-01' } });
  expect(button.disabled).toBe(false);
  await fireEvent.click(button);
  return bridge;
}

describe('Live update', () => {
  test('offers only kernels that can read the sessions, with the reason for the others', async () => {
    await openConsole();
    await fireEvent.click(screen.getByRole('link', { name: 'Live update' }));
    const incompatible = await screen.findByRole<HTMLInputElement>('radio', { name: '7.4.0-rc2' });
    expect(incompatible.disabled).toBe(true);
    expect(screen.getByText(/luo-v6 in it, luo-v5 in the running kernel/)).toBeTruthy();
    expect(screen.getByRole<HTMLInputElement>('radio', { name: '7.3.4-b' }).checked).toBe(true);
  });

  test('a stale plan is said to be stale, and nothing runs', async () => {
    const bridge = await run();
    bridge.end('RunUpdate', failure('PlanStale', { plan: 'p-17', changed: 'A session was created.' }));
    expect(await screen.findByText(/The host has changed since the plan was made/)).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Run live update' })).toBeTruthy();
  });

  test('runs through the kexec: phases, away, back by itself, outcome with digests', async () => {
    const bridge = await run();
    expect(bridge.askedFor('RunUpdate')[0]?.parameters).toEqual({ plan: 'p-17', graceSeconds: 5 });
    bridge.pushProgress('h1', progress('preserving', { done: 1, total: 4 }));
    expect(await screen.findByText('25 %')).toBeTruthy();
    bridge.pushProgress('h1', progress('kexec', { graceEndsAtUs: nowUs() + 60 * second }));
    expect(await screen.findByText(/s left to abort/)).toBeTruthy();
    expect(screen.getByRole('timer', { name: 'Elapsed' })).toBeTruthy();

    bridge.pushProgress('h1', progress('kexec', { graceEndsAtUs: nowUs() - second }));
    expect(await screen.findByRole('timer', { name: 'Blackout' })).toBeTruthy();

    bridge.end('RunUpdate', failure('NotConnected', { id: 'h1', state: 'away' }));
    bridge.changeHost('h1', { state: 'away' });
    expect(await screen.findByText('The host is away, as expected.')).toBeTruthy();
    expect(screen.queryByRole('button', { name: 'Abort live update' })).toBeNull();

    bridge.changeHost('h1', { state: 'connected' });
    bridge.pushProgress('h1', progress('retrieving'));
    const phases = screen.getByRole('list', { name: 'Phases' });
    await waitFor(() => expect(within(phases).getAllByText('not heard of')).toHaveLength(3));

    bridge.answers.set('GetUpdate', () => ({
      update: update({ id: 'u-0004', toRelease: '7.3.4-b', arrivedRelease: '7.3.4-b' }),
    }));
    bridge.changeStatus('h1', { progress: null, phase: 'normal', lastUpdate: 'u-0004' });
    expect(await screen.findByRole('heading', { name: 'Updated' })).toBeTruthy();
    expect(screen.getByText('8 of 8 match')).toBeTruthy();
    expect(screen.getByRole('img', { name: /Booting 11.6 s.*blackout 13.4 s/ })).toBeTruthy();
  });

  test('is aborted before the kexec', async () => {
    const bridge = await run();
    bridge.pushProgress('h1', progress('prepared'));
    await fireEvent.click(await screen.findByRole('button', { name: 'Abort live update' }));
    expect(await screen.findByRole('heading', { name: 'Aborted' })).toBeTruthy();
    expect(bridge.askedFor('AbortUpdate')).toHaveLength(1);
  });

  test('shows an update that is under way when the window opens', async () => {
    const bridge = await openConsole();
    bridge.changeStatus('h1', { progress: progress('retrieving'), phase: 'retrieving' });
    await fireEvent.click(screen.getByRole('link', { name: 'Live update' }));
    expect(await screen.findByText('at retrieving')).toBeTruthy();
    expect(bridge.askedFor('FollowUpdate')).toHaveLength(1);
    bridge.push('FollowUpdate', { progress: null, update: update({ id: 'u-0004', outcome: 'unknown' }) });
    expect(await screen.findByRole('heading', { name: 'Unknown' })).toBeTruthy();
  });
});
