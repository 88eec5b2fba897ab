// SPDX-License-Identifier: Apache-2.0
/** The dialogs that give up preserved memory, or preserve it: what they say, what they need, and how they fail. */
import type { Session } from '@luo-console/agent/interface';
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { failure } from '../../test/fake-bridge.ts';
import { candidates, hosts, sessions } from '../../test/fake-data.ts';
import { type Rendered, renderInConsole } from '../../test/in-console.ts';
import { type } from '../../test/open-console.ts';
import { closeWords, preserveWords } from '../words/sessions.ts';
import CloseSessionDialog from './CloseSessionDialog.svelte';
import PreserveDialog from './PreserveDialog.svelte';
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

describe('preserving', () => {
  const open = (prepare?: (rendered: Rendered) => void) => {
    const onclose = vi.fn();
    return { ...renderInConsole(PreserveDialog, { session: 'web-01', onclose }, prepare), onclose };
  };
  const button = () => screen.getByRole<HTMLButtonElement>('button', { name: 'Preserve' });
  const boxes = async () =>
    (await screen.findAllByRole<HTMLInputElement>('checkbox')).filter((one) => !one.disabled);

  test('needs a choice; what is preserved already cannot be chosen and says where it is', async () => {
    open();
    await boxes();
    expect(button().disabled).toBe(true);
    const off = screen.getAllByRole<HTMLInputElement>('checkbox').filter((one) => one.disabled);
    expect(off.length).toBeGreaterThan(0);
    expect(screen.getAllByText(/^preserved in |still has a name|huge pages|cannot preserve/).length).toBe(
      off.length,
    );
  });

  test('takes several in turn, and keeps those that failed chosen', async () => {
    const { bridge, onclose } = open();
    const [one, other] = await boxes();
    await fireEvent.click(one as HTMLInputElement);
    await fireEvent.click(other as HTMLInputElement);
    expect(screen.getByLabelText<HTMLInputElement>('Token').disabled).toBe(true);
    let asked = 0;
    bridge.answers.set('PreserveFromProcess', () => {
      asked += 1;
      if (asked === 2) throw failure('NoSuchProcess', { pid: 9 });
      return {};
    });
    await fireEvent.click(button());
    expect((await screen.findByRole('alert')).textContent).toMatch(
      /1 preserved, then it failed: Process 9 is gone/,
    );
    expect(onclose).not.toHaveBeenCalled();
    expect(screen.getByText('1 descriptor chosen')).toBeTruthy();
    await fireEvent.click(button());
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('PreserveFromProcess')).toHaveLength(3);
  });

  test('lets go of a process that has ended, and goes on with the rest', async () => {
    const { bridge, onclose } = open();
    for (const one of await boxes()) await fireEvent.click(one);
    const gone = 2141;
    bridge.answers.set('PreserveFromProcess', ({ pid }) => {
      if (pid === gone) throw failure('NoSuchProcess', { pid });
      return {};
    });
    bridge.answers.set('ListCandidates', () => ({
      processes: candidates().filter(({ pid }) => pid !== gone),
    }));
    expect(screen.getByText('3 descriptors chosen')).toBeTruthy();
    await fireEvent.click(button());
    expect((await screen.findByRole('alert')).textContent).toMatch(
      /Nothing was preserved: Process 2141 is gone/,
    );
    expect(await screen.findByText('1 descriptor chosen')).toBeTruthy();
    await fireEvent.click(button());
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('PreserveFromProcess').at(-1)).toMatchObject({ pid: 2201, fd: 7 });
  });

  test('says which of several it is at', async () => {
    const gate = Promise.withResolvers<object>();
    const { bridge } = open();
    for (const one of (await boxes()).slice(0, 2)) await fireEvent.click(one);
    bridge.answers.set('PreserveFromProcess', () => gate.promise);
    await fireEvent.click(button());
    expect(screen.getByRole('status', { name: '' }).textContent).toBe(`${preserveWords.doing(1, 2)}…`);
    expect(button().disabled).toBe(true);
    gate.resolve({});
  });

  test.each([
    ['0x', 'process'],
    ['zebra', 'process'],
  ])('of one descriptor needs a token that is one: %s', async (token) => {
    const { bridge } = open();
    const [one] = await boxes();
    await fireEvent.click(one as HTMLInputElement);
    await type('Token', token);
    await fireEvent.click(button());
    expect(screen.getByLabelText('Token').getAttribute('aria-invalid')).toBe('true');
    expect(bridge.askedFor('PreserveFromProcess')).toEqual([]);
  });

  test('gives label and token of one descriptor to the agent', async () => {
    const { app, bridge, onclose } = open();
    const [one] = await boxes();
    await fireEvent.click(one as HTMLInputElement);
    await type('Label', ' guest memory ');
    await type('Token', ' 0x2a ');
    await fireEvent.click(button());
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('PreserveFromProcess')).toEqual([
      { session: 'web-01', label: 'guest memory', token: '0x2a', pid: 2141, fd: 11 },
    ]);
    expect(app.messages.map(({ title }) => title)).toEqual(['1 descriptor preserved in web-01']);
  });

  test('a file that cannot be copied says so and keeps what was typed', async () => {
    const { bridge, onclose } = open();
    await fireEvent.click(screen.getByRole('tab', { name: 'A file' }));
    await type('Path on the host', '/var/state');
    bridge.answers.set('PreserveFile', () => {
      throw failure('FileUnusable', { path: '/var/state', errno: 'ENOENT', reason: 'it does not exist' });
    });
    await fireEvent.click(button());
    expect((await screen.findByRole('alert')).textContent).toMatch(
      /Nothing was preserved: \/var\/state cannot be used.*It does not exist\./s,
    );
    expect(screen.getByLabelText<HTMLInputElement>('Path on the host').value).toBe('/var/state');
    expect(onclose).not.toHaveBeenCalled();
  });

  test('searches the candidates, and says when nothing matches', async () => {
    open();
    const before = (await boxes()).length;
    const search = screen.getByRole('textbox', { name: /search|find/i });
    await fireEvent.input(search, { target: { value: 'no such thing' } });
    expect(await screen.findByText('“no such thing” not found.')).toBeTruthy();
    await fireEvent.input(search, { target: { value: '' } });
    expect((await boxes()).length).toBe(before);
  });

  test('copies a file only from an absolute path', async () => {
    const { bridge, onclose } = open();
    const tab = screen.getByRole('tab', { name: 'A file' });
    await fireEvent.click(tab);
    await type('Path on the host', 'state');
    await fireEvent.click(button());
    expect(screen.getByText(preserveWords.needPath)).toBeTruthy();
    expect(bridge.askedFor('PreserveFile')).toEqual([]);
    await type('Path on the host', '/var/state');
    await type('Token', 'wrong');
    await fireEvent.click(button());
    expect(bridge.askedFor('PreserveFile')).toEqual([]);
    await type('Token', '0x2a');
    await fireEvent.click(button());
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('PreserveFile')).toEqual([
      { session: 'web-01', label: null, token: '0x2a', path: '/var/state' },
    ]);
  });

  test('says so when the processes cannot be read, and reads them again', async () => {
    const { bridge } = open(({ bridge: fake }) => {
      fake.answers.set('ListCandidates', () => {
        throw failure('NotConnected', {});
      });
    });
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toMatch(/The processes could not be read/);
    bridge.answers.delete('ListCandidates');
    await fireEvent.click(within(alert).getByRole('button', { name: 'Retry' }));
    expect((await boxes()).length).toBeGreaterThan(0);
  });
});
