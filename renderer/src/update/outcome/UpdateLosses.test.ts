// SPDX-License-Identifier: Apache-2.0
/** What went wrong in an update: the descriptor that refused, machines that do not run, memory that is lost. */
import type { Carried, MachineRun, MachineStage, Update } from '@luo-console/agent/interface';
import { fireEvent, screen } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { machineRun, update } from '../../../test/fake-data.ts';
import { renderInConsole } from '../../../test/in-console.ts';
import UpdateLosses from './UpdateLosses.svelte';

type Refusal = NonNullable<Update['refusedBy']>;

const refusal: Refusal = {
  session: 'web-01',
  token: '0x7',
  label: '/dev/luo-test0',
  handler: 'luo_test',
  phase: 'kexec',
  errno: 'EIO',
};
const stopped = (name: string, stage: MachineStage, detail: string): MachineRun =>
  machineRun({ name, stage, detail, newPid: null, blackoutUs: null, parts: [] });
const held = stopped('web-01', 'held', 'it does not run: its VMM ended with exit status 1');
const lost = stopped('old-03', 'lost', 'the index session says nothing of its state');

function carried(...verdicts: Pick<Carried, 'verdict' | 'reason'>[]): Carried[] {
  return update().carried.map((one, at) => ({ ...one, ...verdicts[at] }));
}

function show(more: Partial<Update>): string {
  renderInConsole(UpdateLosses, { update: update(more) });
  return document.body.textContent?.replace(/\s+/g, ' ').trim() ?? '';
}

describe('the losses of an update', () => {
  test('are not mentioned when there are none', () => {
    const machines = ['resumed', 'running', 'left_behind'] as const;
    expect(show({ machines: machines.map((stage) => machineRun({ name: stage, stage })) })).toBe('');
  });

  test.each<[string, Partial<Refusal>, RegExp]>([
    ['by name', {}, /^\/dev\/luo-test0 refused with EIO.*Session web-01.*Token 0x7.*luo_test.*Error EIO/],
    ['by its token if it has no name', { label: '' }, /^0x7 refused with EIO/],
    ['without its session if that is not known', { session: null }, /Session not known/],
    ['in the phase it refused in', { phase: 'retrieving' }, /Phase Retrieving/],
  ])('name the descriptor that refused: %s', (_, more, words) => {
    expect(show({ refusedBy: { ...refusal, ...more } })).toMatch(words);
  });

  test.each<[string, MachineRun[], RegExp]>([
    [
      'held',
      [held],
      /^1 machine did not start again web-01: held: the agent holds its memory and its state\. It does not run: its VMM ended with exit status 1\. Show web-01 in Machines$/,
    ],
    [
      'lost',
      [lost],
      /^1 machine did not start again, 1 lost old-03: lost\. The index session says nothing of its state\.$/,
    ],
    [
      'held and lost',
      [held, lost, machineRun()],
      /^2 machines did not start again, 1 lost web-01: .*old-03: /,
    ],
  ])('name machines that are %s', (_, machines, words) => {
    expect(show({ machines })).toMatch(words);
  });

  test('lead from a held machine to Machines, and from no other', async () => {
    const { app } = renderInConsole(UpdateLosses, {
      update: update({ machines: [held, lost] }),
    });
    expect(screen.queryByRole('button', { name: 'Show old-03 in Machines' })).toBeNull();
    await fireEvent.click(screen.getByRole('button', { name: 'Show web-01 in Machines' }));
    expect(app.view).toBe('machines');
    expect(app.selectedMachine).toEqual({ kind: 'held', session: 'web-01', name: 'web-01' });
  });

  test('lead nowhere from a machine whose session is not known', () => {
    show({ machines: [{ ...held, session: null }] });
    expect(screen.queryByRole('button')).toBeNull();
  });

  test.each<[string, Carried[], RegExp]>([
    [
      'with the reason',
      carried({ verdict: 'missing', reason: 'lost: the session came without it' }),
      /^Lost: 1 descriptor, 2 GiB web-01 0x1 pc\.ram \(2 GiB\): lost: the session came without it$/,
    ],
    [
      'without one if the agent gave none',
      carried({ verdict: 'missing', reason: '' }, { verdict: 'differs', reason: '' }),
      /^Lost: 2 descriptors, .* it is missing.*its contents differ$/,
    ],
  ])('name memory that is lost, %s', (_, all, words) => {
    expect(show({ carried: all })).toMatch(words);
  });

  test('are all told at once', () => {
    const words = show({
      refusedBy: refusal,
      machines: [held],
      carried: carried({ verdict: 'missing', reason: '' }),
    });
    expect(words).toMatch(/refused with EIO.*did not start again.*Lost: 1 descriptor/);
  });
});
