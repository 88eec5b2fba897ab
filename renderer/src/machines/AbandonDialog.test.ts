// SPDX-License-Identifier: Apache-2.0
/** Giving a held machine up: it says what is lost for good, needs the name typed, and stays open when it fails. */
import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { failure } from '../../test/fake-bridge.ts';
import { heldMachine } from '../../test/fake-data.ts';
import { renderInConsole } from '../../test/in-console.ts';
import { type } from '../../test/open-console.ts';
import { abandonWords } from '../words/machines.ts';
import AbandonDialog from './AbandonDialog.svelte';

function open() {
  const onclose = vi.fn();
  const machine = heldMachine({ session: 'mail' });
  const rendered = renderInConsole(AbandonDialog, { machine, onclose }, ({ bridge }) => {
    bridge.heldMachines = [machine];
  });
  return { ...rendered, onclose };
}

const button = () => screen.getByRole<HTMLButtonElement>('button', { name: 'Give up mail-04' });
const typeName = (name: string) => type('Type mail-04 to confirm', name);

describe('giving a held machine up', () => {
  test('says what is lost for good, and where', () => {
    open();
    expect(screen.getByRole('note').textContent).toMatch(
      /Its memory and its state, 2 GiB in all, are lost for good.*mail-04 go on.*Session mail is closed/s,
    );
  });

  test.each(['', 'mail', 'MAIL-04'])('does nothing while “%s” is typed, also with Enter', async (typed) => {
    const { bridge, onclose } = open();
    await typeName(typed);
    expect(button().disabled).toBe(true);
    await fireEvent.submit(button().form as HTMLFormElement);
    expect(bridge.askedFor('AbandonMachine')).toEqual([]);
    expect(onclose).not.toHaveBeenCalled();
  });

  test('frees it once its name is typed', async () => {
    const { app, bridge, onclose } = open();
    await typeName('mail-04');
    await fireEvent.submit(button().form as HTMLFormElement);
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('AbandonMachine')).toEqual([{ session: 'mail' }]);
    expect(app.messages.map(({ title }) => title)).toEqual([abandonWords.done('mail-04')]);
    expect(app.data('h1').machines.held).toEqual([]);
  });

  test('cannot be taken back while it happens', async () => {
    const gate = Promise.withResolvers<object>();
    const { bridge, onclose } = open();
    bridge.answers.set('AbandonMachine', () => gate.promise);
    await typeName('mail-04');
    await fireEvent.click(button());
    expect(screen.getByRole('status').textContent).toBe('Giving up mail-04…');
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Cancel' }).disabled).toBe(true);
    gate.resolve({});
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
  });

  test.each<[string, object, RegExp]>([
    [
      'forbidden',
      failure('PermissionDenied', { user: 'lee', needs: 'operator' }),
      /mail-04 was not given up: lee may not do this/,
    ],
    ['cut off', failure('NotConnected'), /mail-04 was not given up: The host is not connected/],
    [
      'too late',
      failure('SessionNotFound', { name: 'mail' }),
      /mail-04 was not given up: Session mail not found/,
    ],
  ])('that is %s stays open and says why', async (_, thrown, words) => {
    const { app, bridge, onclose } = open();
    bridge.answers.set('AbandonMachine', () => {
      throw thrown;
    });
    await typeName('mail-04');
    await fireEvent.click(button());
    expect((await screen.findByRole('alert')).textContent).toMatch(words);
    expect(onclose).not.toHaveBeenCalled();
    expect(app.messages).toEqual([]);
  });

  test('is cancelled without losing anything', async () => {
    const { bridge, onclose } = open();
    await fireEvent.click(screen.getByRole('button', { name: 'Cancel' }));
    expect(onclose).toHaveBeenCalledOnce();
    expect(bridge.askedFor('AbandonMachine')).toEqual([]);
  });
});
