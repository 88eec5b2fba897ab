// SPDX-License-Identifier: Apache-2.0
/** Trying a held machine again: what it says, how long one waits, and that a failure leaves it held with the reason. */
import type { HeldMachine } from '@luo-console/agent/interface';
import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { failure } from '../../test/fake-bridge.ts';
import { heldMachine, machine } from '../../test/fake-data.ts';
import { renderInConsole } from '../../test/in-console.ts';
import { type } from '../../test/open-console.ts';
import { adoptWords, retryWords } from '../words/machines.ts';
import RetryDialog from './RetryDialog.svelte';

function open(more: Partial<HeldMachine> = {}) {
  const onclose = vi.fn();
  const given = heldMachine({ session: 'mail', ...more });
  const rendered = renderInConsole(RetryDialog, { machine: given, onclose }, ({ bridge }) => {
    bridge.heldMachines = [given];
  });
  return { ...rendered, onclose };
}

const button = () => screen.getByRole<HTMLButtonElement>('button', { name: 'Try mail-04 again' });

describe('trying a held machine again', () => {
  test('says what happens and how long it may take, starts it, and shows it', async () => {
    const { app, bridge, onclose } = open();
    expect(screen.getByRole('dialog').textContent).toMatch(
      /with its memory and its state \(cpr-transfer\).*goes on where it was stopped, and is adopted.*up to a minute/s,
    );
    await fireEvent.click(button());
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('RetryMachine')).toEqual([{ session: 'mail' }]);
    expect(app.messages).toMatchObject([{ title: retryWords.runs('mail-04'), text: adoptWords.carried }]);
    expect(app.selectedMachine).toEqual({ kind: 'machine', pid: 3101, name: 'mail-04' });
    expect(app.data('h1').machines.held).toEqual([]);
  });

  test('cannot be taken back while it happens, and is begun once', async () => {
    const gate = Promise.withResolvers<object>();
    const { bridge, onclose } = open();
    bridge.answers.set('RetryMachine', () => gate.promise);
    await fireEvent.click(button());
    expect(screen.getByRole('status').textContent).toBe('Starting mail-04…');
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Cancel' }).disabled).toBe(true);
    await fireEvent.submit(button().form as HTMLFormElement);
    expect(bridge.askedFor('RetryMachine')).toHaveLength(1);
    gate.resolve({ machine: machine() });
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
  });

  test.each<[string, object, RegExp]>([
    [
      'not possible',
      failure('MachineUnusable', { pid: 0, name: 'mail-04', reason: 'its VMM ended with exit status 1' }),
      /mail-04 was not started again: mail-04 cannot be used.*Its VMM ended with exit status 1\./s,
    ],
    [
      'forbidden',
      failure('PermissionDenied', { user: 'lee', needs: 'operator' }),
      /mail-04 was not started again: lee may not do this: it needs the role operator/,
    ],
    ['cut off', failure('NotConnected'), /mail-04 was not started again: The host is not connected/],
  ])('that is %s stays open, says why, and leaves it held', async (_, thrown, words) => {
    const { app, bridge, onclose } = open();
    bridge.answers.set('RetryMachine', () => {
      throw thrown;
    });
    await fireEvent.click(button());
    expect((await screen.findByRole('alert')).textContent).toMatch(words);
    expect(onclose).not.toHaveBeenCalled();
    expect(app.messages).toEqual([]);
    expect(app.data('h1').machines.held.map(({ name }) => name)).toEqual(['mail-04']);
    expect(button().disabled).toBe(false);
  });

  test('is not possible once more if the failure made its state unusable', async () => {
    const { bridge } = open();
    bridge.answers.set('RetryMachine', () => {
      bridge.heldMachines = [heldMachine({ session: 'mail', problem: 'the guest may have run' })];
      throw failure('MachineUnusable', { pid: 0, name: 'mail-04', reason: 'its monitor fell silent' });
    });
    await fireEvent.click(button());
    expect((await screen.findByRole('alert')).textContent).toContain('Its monitor fell silent.');
    expect((await screen.findByRole('note')).textContent).toMatch(
      /It cannot be tried again.*The guest may have run\./s,
    );
    expect(button().disabled).toBe(true);
    await fireEvent.submit(button().form as HTMLFormElement);
    expect(bridge.askedFor('RetryMachine')).toHaveLength(1);
  });

  describe('with what its command line names', () => {
    const names: HeldMachine['names'] = [
      { name: '/srv/mail.img', kind: 'disk', option: '-drive file' },
      { name: '/boot/k', kind: 'file', option: '-kernel' },
      { name: 'br0', kind: 'bridge', option: '-netdev br' },
    ];
    const field = (label: string) => screen.getByLabelText<HTMLInputElement>(label);

    test('shows the names to be changed, and sends what is other than before', async () => {
      const { bridge, onclose } = open({ names });
      expect(screen.getAllByRole<HTMLInputElement>('textbox').map(({ value }) => value)).toEqual([
        ...['/srv/mail.img', '/boot/k', 'br0'],
      ]);
      expect(screen.queryByRole('note')).toBeNull();
      await type('Disk /srv/mail.img', ' /mnt/mail.img ');
      expect(screen.getByRole('note').textContent).toMatch(
        /size and the contents of the disk are not checked/,
      );
      await type('Bridge br0', 'lan');
      await fireEvent.submit(button().form as HTMLFormElement);
      await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
      expect(bridge.askedFor('RetryMachine')).toEqual([
        {
          session: 'mail',
          changes: [
            { old: '/srv/mail.img', new: '/mnt/mail.img' },
            { old: 'br0', new: 'lan' },
          ],
        },
      ]);
    });

    test('says nothing of disks where none is another one', async () => {
      open({ names });
      await type('File /boot/k', '/boot/l');
      expect(screen.queryByRole('note')).toBeNull();
    });

    test.each([
      ['Disk /srv/mail.img', 'mail.img', 'Expected an absolute path.'],
      ['Bridge br0', ' ', 'Expected the name of a network interface.'],
      ['Bridge br0', '/dev/x', 'Expected the name of a network interface.'],
    ])('does not send what cannot be one: %s, %j', async (label, value, problem) => {
      const { bridge } = open({ names });
      await type(label, value);
      expect(screen.queryByText(problem)).toBeNull();
      await fireEvent.click(button());
      expect(screen.getByText(problem)).toBeTruthy();
      expect(field(label).getAttribute('aria-invalid')).toBe('true');
      expect(bridge.askedFor('RetryMachine')).toEqual([]);
    });

    test('shows what the agent refuses, and keeps what was entered', async () => {
      const { bridge, onclose } = open({ names });
      bridge.answers.set('RetryMachine', () => {
        throw failure('InvalidValue', {
          parameter: 'new name',
          value: '/mnt/none',
          expected: 'a path that exists on the host',
        });
      });
      await type('Disk /srv/mail.img', '/mnt/none');
      await fireEvent.click(button());
      expect((await screen.findByRole('alert')).textContent).toMatch(
        /mail-04 was not started again: new name cannot be “\/mnt\/none”.*Expected: a path that exists on the host\./s,
      );
      expect(onclose).not.toHaveBeenCalled();
      expect(field('Disk /srv/mail.img').value).toBe('/mnt/none');
    });

    test('of an older agent has none, and is tried as it is', async () => {
      const { bridge, onclose } = open({ names: null });
      expect(screen.queryByRole('textbox')).toBeNull();
      await fireEvent.click(button());
      await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
      expect(bridge.askedFor('RetryMachine')).toEqual([{ session: 'mail' }]);
    });
  });

  test('is cancelled without starting anything', async () => {
    const { bridge, onclose } = open();
    await fireEvent.click(screen.getByRole('button', { name: 'Cancel' }));
    expect(onclose).toHaveBeenCalledOnce();
    expect(bridge.askedFor('RetryMachine')).toEqual([]);
  });
});
