// SPDX-License-Identifier: Apache-2.0
/** Leaving a machine behind: it ends the machine, says so, and needs its name. */
import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { plannedMachines } from '../../../test/fake-data.ts';
import { type } from '../../../test/open-console.ts';
import { Failure } from '../../bridge/failure.ts';
import { leaveWords } from '../../words/plan.ts';
import LeaveDialog from './LeaveDialog.svelte';

beforeEach(cleanup);
const [machine] = plannedMachines();
if (!machine) throw new Error('the plan has a machine');
const button = () => screen.getByRole<HTMLButtonElement>('button', { name: 'Leave web-01 behind' });

describe('leaving a machine behind', () => {
  test('says what is lost, with or without its size, and needs the name', async () => {
    const onconfirm = vi.fn(async () => {});
    const onclose = vi.fn();
    render(LeaveDialog, { machine, onclose, onconfirm });
    expect(screen.getByText(leaveWords.loss(machine.memory), { exact: false })).toBeTruthy();
    expect(leaveWords.loss(null)).not.toMatch(/\(/);
    expect(button().disabled).toBe(true);
    await fireEvent.submit(button().form as HTMLFormElement);
    expect(onconfirm).not.toHaveBeenCalled();
    await type('Type web-01 to confirm', 'web-01');
    await fireEvent.click(button());
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(onconfirm).toHaveBeenCalledOnce();
  });

  test('stays open when no plan can be made without it', async () => {
    const onclose = vi.fn();
    const onconfirm = async () => {
      throw new Failure('PlanStale', { changed: 'machines were started, ended or adopted since' }, 'stale');
    };
    render(LeaveDialog, { machine, onclose, onconfirm });
    await type('Type web-01 to confirm', 'web-01');
    await fireEvent.click(button());
    expect((await screen.findByRole('alert')).textContent).toMatch(/The plan was not made again/);
    expect(onclose).not.toHaveBeenCalled();
  });
});
