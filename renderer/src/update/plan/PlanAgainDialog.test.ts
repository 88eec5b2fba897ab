// SPDX-License-Identifier: Apache-2.0
/** Making the plan again with another fate for a machine: it says what that costs, and needs its name. */
import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { plannedMachines } from '../../../test/fake-data.ts';
import { type } from '../../../test/open-console.ts';
import { Failure } from '../../bridge/failure.ts';
import { againWords, leaveWords } from '../../words/plan.ts';
import PlanAgainDialog from './PlanAgainDialog.svelte';

beforeEach(cleanup);
const [machine] = plannedMachines();
if (!machine) throw new Error('the plan has a machine');
const { name, memory } = machine;
const leave = {
  ...{ name, title: leaveWords.title(name), warning: leaveWords.ends(name) },
  ...{ cost: leaveWords.loss(memory), next: leaveWords.planOnly },
};
const button = () => screen.getByRole<HTMLButtonElement>('button', { name: 'Leave web-01 behind' });

describe('leaving a machine behind', () => {
  test('says what is lost, with or without its size, and needs the name', async () => {
    const onconfirm = vi.fn(async () => {});
    const onclose = vi.fn();
    render(PlanAgainDialog, { ...leave, onclose, onconfirm });
    for (const words of [leave.warning, leave.cost, leave.next]) expect(screen.getByText(words)).toBeTruthy();
    expect(leaveWords.loss(null)).not.toMatch(/\(/);
    expect(button().disabled).toBe(true);
    await fireEvent.submit(button().form as HTMLFormElement);
    expect(onconfirm).not.toHaveBeenCalled();
    await type('Type web-01 to confirm', 'web-01');
    await fireEvent.click(button());
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(onconfirm).toHaveBeenCalledOnce();
  });

  test('cannot be taken back while the plan is made again', async () => {
    const gate = Promise.withResolvers<void>();
    const onclose = vi.fn();
    render(PlanAgainDialog, { ...leave, onclose, onconfirm: () => gate.promise });
    await type('Type web-01 to confirm', 'web-01');
    await fireEvent.click(button());
    expect(screen.getByRole('status').textContent).toBe(`${againWords.doing}…`);
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Cancel' }).disabled).toBe(true);
    gate.resolve();
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
  });

  test('is cancelled without making a plan', async () => {
    const onclose = vi.fn();
    const onconfirm = vi.fn();
    render(PlanAgainDialog, { ...leave, onclose, onconfirm });
    await fireEvent.click(screen.getByRole('button', { name: 'Cancel' }));
    expect(onclose).toHaveBeenCalledOnce();
    expect(onconfirm).not.toHaveBeenCalled();
  });

  test('stays open when no plan can be made without it', async () => {
    const onclose = vi.fn();
    const onconfirm = async () => {
      throw new Failure('PlanStale', { changed: 'machines were started, ended or adopted since' }, 'stale');
    };
    render(PlanAgainDialog, { ...leave, onclose, onconfirm });
    await type('Type web-01 to confirm', 'web-01');
    await fireEvent.click(button());
    expect((await screen.findByRole('alert')).textContent).toMatch(/The plan was not made again/);
    expect(onclose).not.toHaveBeenCalled();
  });
});
