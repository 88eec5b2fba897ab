// SPDX-License-Identifier: Apache-2.0
/** The dialogs that give up preserved memory: what they say, what they need, and how they fail. */
import type { Session } from '@luo-console/agent/interface';
import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { failure } from '../../test/fake-bridge.ts';
import { hosts, sessions } from '../../test/fake-data.ts';
import { type Rendered, renderInConsole } from '../../test/in-console.ts';
import { type } from '../../test/open-console.ts';
import { closeWords } from '../words/sessions.ts';
import CloseSessionDialog from './CloseSessionDialog.svelte';
import RemoveDescriptorDialog from './RemoveDescriptorDialog.svelte';

const [host] = hosts();
const [session] = sessions();
if (!host || !session) throw new Error('there is a host with a session');

describe('closing a session', () => {
  const open = (more: Partial<Session> = {}) => {
    const onclose = vi.fn();
    const shown = renderInConsole(CloseSessionDialog, { host, session: { ...session, ...more }, onclose });
    return { ...shown, onclose };
  };
  const button = () => screen.getByRole<HTMLButtonElement>('button', { name: 'Close session' });

  test('that is empty loses nothing and needs no name', async () => {
    const { bridge, onclose } = open({ descriptors: [], size: 0 });
    expect(screen.getByText(closeWords.empty)).toBeTruthy();
    await fireEvent.click(button());
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('CloseSession')).toEqual([{ name: 'web-01' }]);
  });

  test.each([
    ['outgoing' as const, closeWords.outgoingLoss],
    ['incoming' as const, closeWords.incomingLoss],
  ])('that is %s and holds memory says what is lost, and needs its name', async (direction, words) => {
    const { bridge, onclose } = open({ direction });
    expect(screen.getByText(words, { exact: false })).toBeTruthy();
    expect(button().disabled).toBe(true);
    await fireEvent.submit(button().form as HTMLFormElement);
    expect(bridge.askedFor('CloseSession')).toEqual([]);
    await type('Type web-01 to confirm', 'web-01');
    await fireEvent.click(button());
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('CloseSession')).toEqual([{ name: 'web-01' }]);
  });

  test('that fails stays open and says why', async () => {
    const { bridge, onclose } = open();
    bridge.answers.set('CloseSession', () => {
      throw failure('DeviceBusy', { pid: 7, command: 'luod' });
    });
    await type('Type web-01 to confirm', 'web-01');
    await fireEvent.click(button());
    expect((await screen.findByRole('alert')).textContent).toMatch(
      /could not be closed.*luod \(process 7\)/s,
    );
    expect(onclose).not.toHaveBeenCalled();
  });
});

describe.each<[string, object, RegExp]>([
  ['forbidden', failure('PermissionDenied', { user: 'lee', needs: 'operator' }), /lee may not do this/],
  ['cut off', failure('NotConnected'), /The host is not connected/],
  [
    'too late',
    failure('WrongPhase', { phase: 'kexec', needed: 'normal' }),
    /phase kexec.*Expected: normal\./s,
  ],
])('a dialog that is %s', (_, thrown, words) => {
  const answer = () => {
    throw thrown;
  };
  const [descriptor] = session.descriptors;

  test.each<[string, string, () => { bridge: Rendered['bridge']; onclose: () => void }]>([
    [
      'CloseSession',
      'Close session',
      () => {
        const onclose = vi.fn();
        const empty = { ...session, descriptors: [] };
        return { ...renderInConsole(CloseSessionDialog, { host, session: empty, onclose }), onclose };
      },
    ],
    [
      'RemoveDescriptor',
      'Remove descriptor',
      () => {
        if (!descriptor) throw new Error('the session holds a descriptor');
        const onclose = vi.fn();
        return {
          ...renderInConsole(RemoveDescriptorDialog, { host, session, descriptor, onclose }),
          onclose,
        };
      },
    ],
  ])('stays open and says why: %s', async (method, name, open) => {
    const { bridge, onclose } = open();
    bridge.answers.set(method, answer);
    await fireEvent.click(screen.getByRole('button', { name }));
    expect((await screen.findByRole('alert')).textContent).toMatch(words);
    expect(onclose).not.toHaveBeenCalled();
  });
});

describe('while it happens', () => {
  const [descriptor] = session.descriptors;
  if (!descriptor) throw new Error('the session holds a descriptor');
  const empty = { ...session, descriptors: [] };

  test.each<[string, string, string, (onclose: () => void) => Rendered]>([
    [
      'CloseSession',
      'Close session',
      'Closing web-01…',
      (onclose) => renderInConsole(CloseSessionDialog, { host, session: empty, onclose }),
    ],
    [
      'RemoveDescriptor',
      'Remove descriptor',
      'Removing 0x1…',
      (onclose) => renderInConsole(RemoveDescriptorDialog, { host, session, descriptor, onclose }),
    ],
  ])('%s says so and cannot be taken back', async (method, name, words, open) => {
    const gate = Promise.withResolvers<object>();
    const onclose = vi.fn();
    const { app, bridge } = open(onclose);
    bridge.answers.set(method, () => gate.promise);
    await fireEvent.click(screen.getByRole('button', { name }));
    expect(screen.getByRole('status').textContent).toBe(words);
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Cancel' }).disabled).toBe(true);
    gate.resolve({ rebuilt: false, session });
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(app.messages).toHaveLength(1);
  });
});

describe('removing a descriptor', () => {
  const [descriptor] = session.descriptors;
  if (!descriptor) throw new Error('the session holds a descriptor');
  const open = () => {
    const onclose = vi.fn();
    return { ...renderInConsole(RemoveDescriptorDialog, { host, session, descriptor, onclose }), onclose };
  };

  test('says that the session is rebuilt without it, and removes it', async () => {
    const { bridge, onclose } = open();
    expect(screen.getByText(/the agent rebuilds it\. It closes .* the 3 remaining descriptors/)).toBeTruthy();
    await fireEvent.click(screen.getByRole('button', { name: 'Remove descriptor' }));
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('RemoveDescriptor')).toEqual([{ session: 'web-01', token: descriptor.token }]);
  });

  test('that fails stays open and says why', async () => {
    const { bridge, onclose } = open();
    bridge.answers.set('RemoveDescriptor', () => {
      throw failure('TokenNotFound', { session: 'web-01', token: '0x1' });
    });
    await fireEvent.click(screen.getByRole('button', { name: 'Remove descriptor' }));
    expect((await screen.findByRole('alert')).textContent).toMatch(/Token 0x1 not found in session web-01/);
    expect(onclose).not.toHaveBeenCalled();
  });
});
