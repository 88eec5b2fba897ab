// SPDX-License-Identifier: Apache-2.0
/** What went wrong in an update: the descriptor that refused, machines that do not run, memory that is lost. */
import type { Carried, MachineRun, MachineStage, Update } from '@luo-console/agent/interface';
import { cleanup, render } from '@testing-library/svelte';
import { beforeEach, describe, expect, test } from 'vitest';
import { machineRun, update } from '../../../test/fake-data.ts';
import UpdateLosses from './UpdateLosses.svelte';

beforeEach(cleanup);

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
  const { container } = render(UpdateLosses, { update: update(more) });
  return container.textContent?.replace(/\s+/g, ' ').trim() ?? '';
}

describe('the losses of an update', () => {
  test('are not mentioned when there are none', () => {
    const machines = ['resumed', 'running', 'left_behind'] as const;
    const { container } = render(UpdateLosses, {
      update: update({ machines: machines.map((stage) => machineRun({ name: stage, stage })) }),
    });
    expect(container.textContent?.trim()).toBe('');
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
      /^1 machine did not start again web-01: held: the agent holds its memory and its state\. It does not run: its VMM ended with exit status 1\.$/,
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
