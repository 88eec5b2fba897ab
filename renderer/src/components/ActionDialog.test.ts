// SPDX-License-Identifier: Apache-2.0
/** The one dialog that does things: what it needs before its button works, and what it does when the act fails. */
import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import { createRawSnippet } from 'svelte';
import { describe, expect, test, vi } from 'vitest';
import { Failure } from '../bridge/failure.ts';
import ActionDialog from './ActionDialog.svelte';

const children = createRawSnippet(() => ({ render: () => '<p>What it does</p>' }));

function open(more: Record<string, unknown> = {}) {
  cleanup();
  const onclose = vi.fn();
  const onconfirm = vi.fn(async () => {});
  const given = { title: 'Release web-01', action: 'Release', onclose, onconfirm, children, ...more };
  render(ActionDialog, given);
  return { onclose, onconfirm: given.onconfirm };
}

const button = () => screen.getByRole<HTMLButtonElement>('button', { name: 'Release' });
const submit = () => fireEvent.submit(button().form as HTMLFormElement);

describe('an action dialog', () => {
  test('does it once and closes', async () => {
    const { onclose, onconfirm } = open();
    await fireEvent.click(button());
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(onconfirm).toHaveBeenCalledOnce();
  });

  test.each(['', 'web', 'WEB-01', 'web-01x'])('does nothing while “%s” is typed for web-01', async (text) => {
    const { onconfirm } = open({ confirm: 'web-01' });
    await fireEvent.input(screen.getByLabelText('Type web-01 to confirm'), { target: { value: text } });
    expect(button().disabled).toBe(true);
    // Enter in the field submits the form past the button.
    await submit();
    expect(onconfirm).not.toHaveBeenCalled();
  });

  test('works when the name is typed', async () => {
    const { onconfirm } = open({ confirm: 'web-01' });
    await fireEvent.input(screen.getByLabelText('Type web-01 to confirm'), { target: { value: ' web-01 ' } });
    await fireEvent.click(button());
    expect(onconfirm).toHaveBeenCalledOnce();
  });

  test('does nothing while something else is missing or wrong', async () => {
    const { onconfirm } = open({ ready: false });
    expect(button().disabled).toBe(true);
    await submit();
    expect(onconfirm).not.toHaveBeenCalled();
    const checked = open({ check: () => false });
    await submit();
    expect(checked.onconfirm).not.toHaveBeenCalled();
    expect(checked.onclose).not.toHaveBeenCalled();
  });

  test('cannot be dismissed or confirmed again while it happens', async () => {
    let finish = () => {};
    const onconfirm = vi.fn(() => new Promise<void>((resolve) => (finish = resolve)));
    const { onclose } = open({ onconfirm, doing: 'Releasing web-01' });
    await fireEvent.click(button());
    expect(screen.getByRole('status').textContent).toBe('Releasing web-01…');
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Cancel' }).disabled).toBe(true);
    await submit();
    expect(onconfirm).toHaveBeenCalledOnce();
    finish();
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
  });

  test('is dismissed with Escape or its cross, but not while it happens', async () => {
    const pressEscape = () =>
      fireEvent(screen.getByRole('dialog'), new Event('cancel', { cancelable: true }));
    const gate = Promise.withResolvers<void>();
    const { onclose } = open({ onconfirm: () => gate.promise });
    // The browser must not close it by itself: it is open as long as it is rendered.
    expect(await pressEscape()).toBe(false);
    await fireEvent.click(screen.getByRole('button', { name: 'Close dialog' }));
    expect(onclose).toHaveBeenCalledTimes(2);
    await fireEvent.click(button());
    expect(await pressEscape()).toBe(false);
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Close dialog' }).disabled).toBe(true);
    expect(onclose).toHaveBeenCalledTimes(2);
    gate.resolve();
    await waitFor(() => expect(onclose).toHaveBeenCalledTimes(3));
  });

  test('stays open with the failure, and can be tried again', async () => {
    const onconfirm = vi
      .fn<() => Promise<void>>()
      .mockRejectedValueOnce(new Failure('DeviceBusy', { command: 'luod', pid: 7 }, 'busy'))
      .mockResolvedValueOnce();
    const { onclose } = open({ onconfirm, failed: 'web-01 was not released' });
    await fireEvent.click(button());
    expect(await screen.findByText(/^web-01 was not released: \/dev\/liveupdate is held/)).toBeTruthy();
    expect(onclose).not.toHaveBeenCalled();
    await fireEvent.click(button());
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(screen.queryByRole('alert')).toBeNull();
  });

  test('that was done and is not recorded says so, and can only be closed', async () => {
    const reason = 'database or disk is full';
    const done = new Failure('DoneNotRecorded', { method: 'ReleaseMachine', reason }, '');
    const onconfirm = vi.fn<() => Promise<void>>().mockRejectedValue(done);
    const { onclose } = open({ onconfirm, failed: 'web-01 was not released' });
    await fireEvent.click(button());
    expect(await screen.findByText('Done, and not recorded in the journal yet')).toBeTruthy();
    expect(screen.queryByText(/was not released/)).toBeNull();
    expect(screen.queryByRole('alert')).toBeNull();
    expect(button().disabled).toBe(true);
    await submit();
    expect(onconfirm).toHaveBeenCalledOnce();
    await fireEvent.click(screen.getByRole('button', { name: 'Close' }));
    expect(onclose).toHaveBeenCalledOnce();
  });

  test('is cancelled without doing anything', async () => {
    const { onclose, onconfirm } = open();
    await fireEvent.click(screen.getByRole('button', { name: 'Cancel' }));
    expect(onclose).toHaveBeenCalledOnce();
    expect(onconfirm).not.toHaveBeenCalled();
  });
});
