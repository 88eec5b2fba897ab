// SPDX-License-Identifier: Apache-2.0
/** The last question before an update: what it says will be kept, lost and ended, and that it needs the host's name. */
import type { Host } from '@luo-console/electron/interface';
import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { hosts, plan, plannedMachines, status, you } from '../../../test/fake-data.ts';
import { abortLimit } from '../../words/run.ts';
import ConfirmDialog from './ConfirmDialog.svelte';

function open(more: Record<string, unknown> = {}) {
  cleanup();
  const [host] = hosts();
  if (!host) throw new Error('there is a host');
  const onconfirm = vi.fn();
  const onclose = vi.fn();
  render(ConfirmDialog, { host, plan: plan(), grace: 5, onconfirm, onclose, ...more });
  return { host, onconfirm, onclose };
}

const run = () => screen.getByRole<HTMLButtonElement>('button', { name: /^Replace the kernel of hv-01: / });

describe('the confirmation of an update', () => {
  test('needs the name of the host, and starts nothing before', async () => {
    const { onconfirm, onclose } = open();
    expect(run().disabled).toBe(true);
    await fireEvent.submit(run().form as HTMLFormElement);
    await fireEvent.input(screen.getByLabelText('Type hv-01 to confirm'), { target: { value: 'hv-02' } });
    await fireEvent.submit(run().form as HTMLFormElement);
    expect(onconfirm).not.toHaveBeenCalled();
    await fireEvent.input(screen.getByLabelText('Type hv-01 to confirm'), { target: { value: 'hv-01' } });
    await fireEvent.click(run());
    expect(onconfirm).toHaveBeenCalledOnce();
    expect(onclose).toHaveBeenCalledOnce();
  });

  test('says until when an abort works, and nothing of no way back', () => {
    open();
    expect(screen.getByText(abortLimit)).toBeTruthy();
    expect(
      screen.getByText('It waits 5 seconds after it is announced, before the machines stop.'),
    ).toBeTruthy();
    expect(screen.queryByText(/no way back/)).toBeNull();
    open({ grace: 0 });
    expect(screen.getByText('It does not wait after it is announced.')).toBeTruthy();
    open({ grace: 1 });
    expect(screen.getByText(/^It waits 1 second after/)).toBeTruthy();
  });

  test.each<[string, Partial<Host>, string]>([
    ['disconnected', { state: 'disconnected' }, 'hv-01 is not connected.'],
    ['away', { state: 'away' }, 'hv-01 is away and should return by itself.'],
    [
      'only to be looked at',
      { status: { ...status({ you: { ...you, role: 'viewer' } }) } },
      'kim may look but not act. Acting needs the group luo-console-operator.',
    ],
    ['in an update', { status: { ...status({ phase: 'kexec' }) } }, 'A live update is under way (kexec).'],
  ])('starts nothing on a host that is %s by now, and says why', async (_, more, why) => {
    const [host] = hosts();
    const { onconfirm } = open({ host: { ...host, ...more } });
    await fireEvent.input(screen.getByLabelText('Type hv-01 to confirm'), { target: { value: 'hv-01' } });
    expect(run().disabled).toBe(true);
    expect(screen.getByRole('status').textContent).toBe(why);
    await fireEvent.submit(run().form as HTMLFormElement);
    expect(onconfirm).not.toHaveBeenCalled();
  });

  test('says how many checks gave a warning, and nothing of them if none did', () => {
    open();
    expect(screen.getByText('1 preflight check gave a warning.')).toBeTruthy();
    open({ plan: { ...plan(), checks: [] } });
    expect(screen.queryByText(/gave a warning/)).toBeNull();
  });

  test.each([
    ['there is no session', { sessions: [] }],
    [
      'all are incoming',
      { sessions: [{ name: 'came', direction: 'incoming' as const, descriptors: 1, size: 4096 }] },
    ],
  ])('says that no session is carried over when %s', (_, more) => {
    const [host] = hosts();
    open({ host: { ...host, status: { ...status(more) } } });
    expect(screen.getByText('No session is carried over.')).toBeTruthy();
  });

  test('is cancelled without starting anything', async () => {
    const { onconfirm, onclose } = open();
    await fireEvent.click(screen.getByRole('button', { name: 'Cancel' }));
    expect(onclose).toHaveBeenCalledOnce();
    expect(onconfirm).not.toHaveBeenCalled();
  });

  test('names the machines that are carried over and those that end', () => {
    open({ plan: { ...plan(), machines: plannedMachines() } });
    expect(screen.getByText('1 machine stops and is carried over: web-01.')).toBeTruthy();
    expect(screen.getByText('Ends with the old kernel: old-03.')).toBeTruthy();
    const two = plannedMachines().map((one) => ({ ...one, leave: false, way: 'cpr' as const }));
    open({ plan: { ...plan(), machines: two } });
    expect(screen.getByText('2 machines stop and are carried over: web-01, old-03.')).toBeTruthy();
    expect(screen.queryByText(/^Ends with the old kernel/)).toBeNull();
  });

  test('names the sessions that are lost, and counts those that are kept', () => {
    const { host } = open();
    const status = host.status as { sessions: { direction: string; name: string }[] };
    const sessions = status.sessions.map((one, at) => (at === 0 ? { ...one, direction: 'incoming' } : one));
    open({ host: { ...host, status: { ...host.status, sessions } } });
    expect(screen.getByText(`Lost: ${sessions[0]?.name}.`)).toBeTruthy();
    expect(
      screen.getByText(new RegExp(`^${sessions.length - 1} sessions? with .* carried over`)),
    ).toBeTruthy();
  });
});
