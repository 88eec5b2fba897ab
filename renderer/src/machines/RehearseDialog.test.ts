// SPDX-License-Identifier: Apache-2.0
/** Rehearsing a machine: it says what that does, and tells how it went. */
import type { Rehearsal } from '@luo-console/agent/interface';
import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { failure } from '../../test/fake-bridge.ts';
import { machine } from '../../test/fake-data.ts';
import { renderInConsole } from '../../test/in-console.ts';
import { rehearsalWords, rehearseWords } from '../words/machines.ts';
import RehearseDialog from './RehearseDialog.svelte';

const passed: Rehearsal = {
  ...{ atUs: 5, problem: null, startUs: 600_000, loadUs: 40_000, stoppedUs: 90_000, left: [], changed: [] },
};

function open(rehearsal: Rehearsal) {
  const onclose = vi.fn();
  const rendered = renderInConsole(RehearseDialog, { machine: machine({ session: 'web-01' }), onclose });
  rendered.bridge.answers.set('RehearseMachine', () => ({
    machine: machine({ session: 'web-01' }),
    rehearsal,
  }));
  return { ...rendered, onclose };
}

const press = () => fireEvent.click(screen.getByRole('button', { name: 'Rehearse web-01' }));

describe('rehearsing a machine', () => {
  test.each<[string, Rehearsal, object]>([
    ['that it would come back', passed, { tone: 'good', title: rehearseWords.passed('web-01') }],
    [
      'that it would not',
      { ...passed, problem: 'no such disk' },
      {
        tone: 'bad',
        title: rehearseWords.wouldFail('web-01'),
        text: expect.stringContaining('no such disk'),
      },
    ],
    [
      'why nothing could be found out',
      { ...passed, startUs: null, left: ['it has a TPM'] },
      { tone: 'bad', title: rehearseWords.failed('web-01'), text: 'it has a TPM' },
    ],
  ])('says what it does, and then %s', async (_what, rehearsal, message) => {
    const { app, bridge, onclose } = open(rehearsal);
    expect(screen.getByText(rehearseWords.stops)).toBeTruthy();
    await press();
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('RehearseMachine')).toEqual([{ pid: 2041 }]);
    expect(app.messages).toMatchObject([message]);
  });

  test('that is refused stays open and says why', async () => {
    const { bridge, onclose } = open(passed);
    bridge.answers.set('RehearseMachine', () => {
      throw failure('WrongPhase', { phase: 'prepared', needed: 'normal' });
    });
    await press();
    expect((await screen.findByRole('alert')).textContent).toMatch(/web-01 was not rehearsed/);
    expect(onclose).not.toHaveBeenCalled();
  });
});

test.each<[Partial<Rehearsal>, number, string]>([
  [{}, 180_000_005, 'rehearsed 3 min ago: would start in 600 ms, load in 40 ms'],
  [
    { loadUs: null, left: ['loading its state: its guest is paused'] },
    5,
    'rehearsed just now: would start in 600 ms; not rehearsed: loading its state: its guest is paused',
  ],
  [
    { changed: ['its program'] },
    180_000_005,
    'rehearsed 3 min ago, which does not count any more: its program changed since',
  ],
  [
    { problem: 'no such disk', changed: ['its program'] },
    5,
    'rehearsed just now, and failed: no such disk; its program changed since',
  ],
  [{ problem: 'no such disk' }, 5, 'rehearsed just now, and failed: no such disk'],
  [{ startUs: null, left: ['its monitor is busy'] }, 5, 'not rehearsed: its monitor is busy'],
])('a result in words: %j', (change, nowUs, words) => {
  expect(rehearsalWords({ ...passed, ...change }, nowUs)).toBe(words);
});
