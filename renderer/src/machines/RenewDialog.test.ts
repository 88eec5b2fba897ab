// SPDX-License-Identifier: Apache-2.0
/** Renewing a machine: it says what happens, shows how far it is, and tells what came of it. */
import type { Renewal } from '@luo-console/agent/interface';
import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { failure } from '../../test/fake-bridge.ts';
import { machine } from '../../test/fake-data.ts';
import { renderInConsole } from '../../test/in-console.ts';
import { renewWords } from '../words/renewal.ts';
import RenewDialog from './RenewDialog.svelte';

const renewed: Renewal = {
  ...{ outcome: 'renewed', problem: null, pid: 2041, newPid: 3041 },
  ...{ version: '11.1.2', newVersion: '11.1.3', stoppedUs: 900_000 },
};

function open(renewal: Renewal = renewed) {
  const onclose = vi.fn();
  const rendered = renderInConsole(RenewDialog, { machine: machine({ session: 'web-01' }), onclose });
  rendered.bridge.answers.set('RenewMachine', () => ({ machine: machine(), stage: null, renewal }));
  return { ...rendered, onclose };
}

const press = () => fireEvent.click(screen.getByRole('button', { name: 'Renew web-01' }));

describe('renewing a machine', () => {
  test.each<[string, Renewal, object]>([
    [
      'which VMM it has',
      renewed,
      {
        ...{ tone: 'good', title: 'web-01 is renewed' },
        text: 'QEMU 11.1.3 in place of 11.1.2. Its guest was stopped for 900 ms.',
      },
    ],
    [
      'that it has its old one still, and why',
      { ...renewed, outcome: 'runs_on', newPid: null, newVersion: null, problem: 'it ended' },
      {
        ...{ tone: 'bad', title: 'web-01 was not renewed' },
        text: 'It runs on as before. Its guest was stopped for 900 ms. It ended.',
      },
    ],
    [
      'that it is stopped',
      { ...renewed, outcome: 'stopped', newPid: null, problem: 'its new VMM ended', stoppedUs: null },
      { tone: 'bad', title: 'web-01 is stopped', text: 'Its new VMM ended.' },
    ],
  ])('says what happens, and then %s', async (_what, renewal, message) => {
    const { app, bridge, onclose } = open(renewal);
    for (const words of [renewWords.what, renewWords.stops, renewWords.connections])
      expect(screen.getByText(words)).toBeTruthy();
    await press();
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('RenewMachine')).toEqual([{ pid: 2041 }]);
    expect(app.messages).toMatchObject([message]);
  });

  test('shows how far it is, and selects the machine with its new process', async () => {
    const gate = Promise.withResolvers<object>();
    const { app, bridge, onclose } = open();
    bridge.answers.set('RenewMachine', () => gate.promise);
    await press();
    expect(screen.getByRole('status').textContent).toBe('Rehearsing web-01…');
    bridge.push('RenewMachine', { machine: machine(), stage: 'starting', renewal: null });
    await waitFor(() =>
      expect(screen.getByRole('status').textContent).toBe('Starting the new VMM of web-01…'),
    );
    gate.resolve({ machine: machine(), stage: null, renewal: renewed });
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(app.selectedMachine).toEqual({ kind: 'machine', pid: 3041, name: 'web-01' });
  });

  test('that is refused stays open and says why', async () => {
    const { bridge, onclose } = open();
    bridge.answers.set('RenewMachine', () => {
      throw failure('MachineUnusable', {
        pid: 2041,
        name: 'web-01',
        reason: 'its rehearsal failed: no disk',
      });
    });
    await press();
    expect((await screen.findByRole('alert')).textContent).toMatch(/Its rehearsal failed: no disk/);
    expect(onclose).not.toHaveBeenCalled();
  });
});
