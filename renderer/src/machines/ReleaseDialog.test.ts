// SPDX-License-Identifier: Apache-2.0
/** Releasing a machine: it gives up the machine's preserved memory, says so, and stays open when it fails. */
import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { failure } from '../../test/fake-bridge.ts';
import { machine } from '../../test/fake-data.ts';
import { renderInConsole } from '../../test/in-console.ts';
import { releaseWords } from '../words/machines.ts';
import ReleaseDialog from './ReleaseDialog.svelte';

function open() {
  const onclose = vi.fn();
  return { ...renderInConsole(ReleaseDialog, { machine: machine({ session: 'web-01' }), onclose }), onclose };
}

describe('releasing a machine', () => {
  test('says what it means for the next update, and releases it', async () => {
    const { app, bridge, onclose } = open();
    expect(screen.getByText(releaseWords.closed('web-01'))).toBeTruthy();
    expect(screen.getByText(releaseWords.ends)).toBeTruthy();
    await fireEvent.click(screen.getByRole('button', { name: 'Release web-01' }));
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('ReleaseMachine')).toEqual([{ pid: 2041 }]);
    expect(app.messages.map(({ title }) => title)).toEqual([releaseWords.released('web-01')]);
  });

  test('cannot be taken back while it happens, and is cancelled before', async () => {
    const gate = Promise.withResolvers<object>();
    const { bridge, onclose } = open();
    bridge.answers.set('ReleaseMachine', () => gate.promise);
    await fireEvent.click(screen.getByRole('button', { name: 'Cancel' }));
    expect(onclose).toHaveBeenCalledOnce();
    expect(bridge.askedFor('ReleaseMachine')).toEqual([]);
    await fireEvent.click(screen.getByRole('button', { name: 'Release web-01' }));
    expect(screen.getByRole('status').textContent).toBe('Releasing web-01…');
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Cancel' }).disabled).toBe(true);
    gate.resolve({ machine: machine() });
    await waitFor(() => expect(onclose).toHaveBeenCalledTimes(2));
  });

  test('that fails stays open and says why', async () => {
    const { bridge, onclose } = open();
    bridge.answers.set('ReleaseMachine', () => {
      throw failure('WrongPhase', { phase: 'prepared', needed: 'normal' });
    });
    await fireEvent.click(screen.getByRole('button', { name: 'Release web-01' }));
    expect((await screen.findByRole('alert')).textContent).toMatch(/web-01 was not released/);
    expect(onclose).not.toHaveBeenCalled();
  });
});
