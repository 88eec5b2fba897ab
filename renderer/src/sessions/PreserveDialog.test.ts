// SPDX-License-Identifier: Apache-2.0
/** Preserving in a session: descriptors of processes or a copy of a file, what each needs, and how they fail. */
import { fireEvent, screen, waitFor, within } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { failure } from '../../test/fake-bridge.ts';
import { candidates } from '../../test/fake-data.ts';
import { type Rendered, renderInConsole } from '../../test/in-console.ts';
import { type } from '../../test/open-console.ts';
import { preserveWords } from '../words/sessions.ts';
import PreserveDialog from './PreserveDialog.svelte';

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

  test.each(['0x', 'zebra'])('of one descriptor needs a token that is one: %s', async (token) => {
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
