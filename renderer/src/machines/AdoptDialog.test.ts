// SPDX-License-Identifier: Apache-2.0
/** Adopting a machine: what it says of its memory and its way, the consent it needs, and how it fails. */
import type { Machine } from '@luo-console/agent/interface';
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { failure } from '../../test/fake-bridge.ts';
import { machine } from '../../test/fake-data.ts';
import { renderInConsole } from '../../test/in-console.ts';
import { adoptWords } from '../words/machines.ts';
import AdoptDialog from './AdoptDialog.svelte';

function open(more: Partial<Machine> = {}) {
  const onclose = vi.fn();
  const given = machine({ session: null, ...more });
  return { ...renderInConsole(AdoptDialog, { machine: given, onclose }), onclose };
}

const button = () => screen.getByRole<HTMLButtonElement>('button', { name: 'Adopt web-01' });
const points = () =>
  within(screen.getByRole('dialog'))
    .getAllByRole('listitem')
    .map(({ textContent }) => textContent);

describe('adopting a machine', () => {
  test.each<[string, Partial<Machine>, string]>([
    ['how much memory is allocated', {}, adoptWords.allocated(2048 * 1024 * 1024)],
    ['that memory is allocated, if it is not known how much', { memory: null }, adoptWords.allocated(null)],
    [
      'its way, and why',
      { way: 'cpr', wayReason: 'its memory is shared and aux-ram-share is on' },
      'It is carried over by cpr-transfer: its memory is shared and aux-ram-share is on.',
    ],
    [
      'that it is saved whole',
      { way: 'whole_state', wayReason: 'its memory is not shared with a file, so it is saved whole' },
      'It is carried over by whole state: its memory is not shared with a file, so it is saved whole.',
    ],
    [
      'the blackout to expect',
      { expectedBlackoutUs: 250_000 },
      'Expected blackout: about 250 ms or more, plus the time the kernel takes to boot (estimate).',
    ],
    ['that no blackout is known', { expectedBlackoutUs: null }, 'Expected blackout: not known.'],
  ])('says %s', (_, more, words) => {
    open(more);
    expect(points()).toContain(words);
  });

  test('needs no consent where nothing is unlinked', async () => {
    const { app, bridge, onclose } = open();
    expect(screen.queryByRole('checkbox')).toBeNull();
    await fireEvent.click(button());
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('AdoptMachine')).toEqual([{ pid: 2041, unlink: false }]);
    expect(app.messages).toMatchObject([{ title: adoptWords.adopted('web-01'), text: adoptWords.carried }]);
  });

  test.each([
    [['/dev/shm/one'], 'Unlink this file'],
    [['/dev/shm/one', '/dev/shm/two'], 'Unlink these files'],
  ])('needs consent to unlink %j, and does nothing without it', async (unlinks, consent) => {
    const { bridge, onclose } = open({ unlinks });
    expect(screen.getByText(adoptWords.unlinks(unlinks.length))).toBeTruthy();
    const names = within(screen.getByRole('list', { name: 'Files that are unlinked' }));
    expect(names.getAllByRole('listitem').map(({ textContent }) => textContent)).toEqual(unlinks);
    await fireEvent.submit(button().form as HTMLFormElement);
    expect(bridge.askedFor('AdoptMachine')).toEqual([]);
    const box = screen.getByRole('checkbox', { name: consent });
    await fireEvent.click(box);
    await fireEvent.click(box);
    expect(button().disabled).toBe(true);
    await fireEvent.click(box);
    await fireEvent.click(button());
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('AdoptMachine')).toEqual([{ pid: 2041, unlink: true }]);
  });

  test('gives it a priority, if one is typed that the agent takes', async () => {
    const { bridge, onclose } = open();
    const field = screen.getByLabelText('Priority');
    for (const wrong of ['101', '-1', 'high']) {
      await fireEvent.input(field, { target: { value: wrong } });
      expect(screen.getByText(adoptWords.wrongPriority)).toBeTruthy();
      expect(button().disabled).toBe(true);
    }
    await fireEvent.input(field, { target: { value: '20' } });
    await fireEvent.click(button());
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('AdoptMachine')).toEqual([{ pid: 2041, unlink: false, priority: 20 }]);
  });

  test('cannot be taken back while it happens', async () => {
    const gate = Promise.withResolvers<object>();
    const { bridge, onclose } = open();
    bridge.answers.set('AdoptMachine', () => gate.promise);
    await fireEvent.click(button());
    expect(screen.getByRole('status').textContent).toBe('Adopting web-01…');
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Cancel' }).disabled).toBe(true);
    bridge.push('AdoptMachine', { machine: machine(), done: 2 ** 30, total: 2 ** 32 });
    await waitFor(() =>
      expect(screen.getByRole('status').textContent).toBe(
        'Adopting web-01: putting its memory into huge pages, 25 %…',
      ),
    );
    gate.resolve({ machine: machine() });
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
  });

  test.each<[string, object, RegExp]>([
    [
      'forbidden',
      failure('PermissionDenied', { user: 'lee', needs: 'operator' }),
      /web-01 was not adopted: lee may not do this: it needs the role operator/,
    ],
    ['disconnected', failure('NotConnected'), /web-01 was not adopted: The host is not connected/],
    [
      'unable',
      failure('MachineUnusable', { pid: 2041, name: 'web-01', reason: 'it has no monitor socket' }),
      /web-01 cannot be used for this.*It has no monitor socket\./s,
    ],
  ])('that is %s stays open and says why', async (_, thrown, words) => {
    const { app, bridge, onclose } = open();
    bridge.answers.set('AdoptMachine', () => {
      throw thrown;
    });
    await fireEvent.click(button());
    expect((await screen.findByRole('alert')).textContent).toMatch(words);
    expect(onclose).not.toHaveBeenCalled();
    expect(app.messages).toEqual([]);
  });

  test('is cancelled without adopting anything', async () => {
    const { bridge, onclose } = open();
    await fireEvent.click(screen.getByRole('button', { name: 'Cancel' }));
    expect(onclose).toHaveBeenCalledOnce();
    expect(bridge.askedFor('AdoptMachine')).toEqual([]);
  });
});
