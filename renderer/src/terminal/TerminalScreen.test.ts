// SPDX-License-Identifier: Apache-2.0
/** A terminal on the screen: what it shows, what is typed into it, its keys, its search, and how it ends. */
import { cleanup, fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { failure } from '../../test/fake-bridge.ts';
import { type Rendered, renderInConsole } from '../../test/in-console.ts';
import { Failure } from '../bridge/failure.ts';
import TerminalScreen from './TerminalScreen.svelte';

const label = 'Shell on hv-01';
const id = 'shell-1';

function show(more: Record<string, unknown> = {}, prepare: (rendered: Rendered) => void = () => {}) {
  const onend = vi.fn();
  const open = vi.fn(async (_columns: number, _rows: number) => id);
  return { ...renderInConsole(TerminalScreen, { open, label, onend, ...more }, prepare), onend, open };
}

/** Shows one and waits until what is behind it is open. */
async function connected(more: Record<string, unknown> = {}) {
  const shown = show(more);
  await waitFor(() => expect(shown.bridge.askedFor('WatchTerminal')).toEqual([{ terminal: id }]));
  return shown;
}

const keys = () => screen.getByRole<HTMLTextAreaElement>('textbox', { name: label });
const press = (key: string, more: KeyboardEventInit = {}) => fireEvent.keyDown(keys(), { key, ...more });
const chord = (key: string) => press(key, { ctrlKey: true, shiftKey: true });
const shownText = () => keys().parentElement?.textContent ?? '';

describe('a terminal', () => {
  test('is opened for its size, and shows what was said before and after', async () => {
    const { bridge, open } = await connected();
    expect(open.mock.calls).toEqual([[80, 24]]);
    expect(bridge.askedFor('ResizeTerminal')).toEqual([{ terminal: id, columns: 80, rows: 24 }]);
    expect(shownText()).toContain('luocon status');
    bridge.say('one more line');
    expect(shownText()).toContain('one more line');
  });

  test('passes on what is typed', async () => {
    const { bridge } = await connected();
    await press('l');
    expect(bridge.askedFor('WriteTerminal')).toEqual([{ terminal: id, data: 'l' }]);
  });

  test('takes the focus only when asked to', async () => {
    await connected();
    expect(document.activeElement).not.toBe(keys());
    await connected({ focused: true });
    expect(document.activeElement).toBe(keys());
  });

  test('goes on without a word when what was typed came too late', async () => {
    const { bridge, onend } = await connected();
    for (const method of ['WriteTerminal', 'ResizeTerminal'])
      bridge.answers.set(method, () => {
        throw failure('TerminalNotFound', { terminal: id });
      });
    await press('l');
    expect(bridge.askedFor('WriteTerminal')).toHaveLength(1);
    expect(onend).not.toHaveBeenCalled();
  });
});

describe('the end of a terminal', () => {
  test('is told with the exit status, and nothing is passed on any more', async () => {
    const { bridge, onend } = await connected();
    bridge.say('', 3);
    bridge.end('WatchTerminal');
    expect(onend.mock.calls).toEqual([[3, null]]);
    await press('l');
    expect(bridge.askedFor('WriteTerminal')).toEqual([]);
  });

  test('is told with the failure when the connection broke', async () => {
    const { bridge, onend } = await connected();
    bridge.end('WatchTerminal', failure('NotConnected'));
    expect(onend).toHaveBeenCalledExactlyOnceWith(null, expect.objectContaining({ name: 'NotConnected' }));
  });

  test('is told when it could not be opened', async () => {
    const open = () => Promise.reject(new Failure('FileUnusable', { path: '/s', reason: 'ENOENT' }, ''));
    const { bridge, onend } = show({ open });
    await waitFor(() =>
      expect(onend).toHaveBeenCalledExactlyOnceWith(null, expect.objectContaining({ name: 'FileUnusable' })),
    );
    expect(bridge.askedFor('WatchTerminal')).toEqual([]);
  });

  test.each([
    [true, [{ terminal: id }]],
    [false, []],
  ])('by leaving it: with closes=%s', async (closes, closed) => {
    const { bridge, onend } = await connected({ closes });
    cleanup();
    expect(bridge.askedFor('CloseTerminal')).toEqual(closed);
    expect(bridge.streams.filter(({ method }) => method === 'WatchTerminal')).toEqual([]);
    expect(onend).not.toHaveBeenCalled();
  });

  test.each([
    [true, [{ terminal: id }]],
    [false, []],
  ])('by leaving it before it was open: with closes=%s', async (closes, closed) => {
    const gate = Promise.withResolvers<string>();
    const { bridge } = show({ open: () => gate.promise, closes });
    cleanup();
    gate.resolve(id);
    await gate.promise;
    expect(bridge.askedFor('CloseTerminal')).toEqual(closed);
    expect(bridge.askedFor('WatchTerminal')).toEqual([]);
  });
});

describe('the keys of a terminal', () => {
  test.each(['c', 'f', 'k', 'v'])('Ctrl+Shift+%s is not passed on', async (key) => {
    const { bridge } = await connected();
    await chord(key);
    expect(bridge.askedFor('WriteTerminal')).toEqual([]);
  });

  test('every other key with Ctrl and Shift is', async () => {
    const { bridge } = await connected();
    await chord('x');
    await press('f', { ctrlKey: true, shiftKey: true, altKey: true });
    expect(bridge.askedFor('WriteTerminal').map(({ data }) => data)).toEqual(['x', 'f']);
  });

  test('Ctrl+Shift+C copies what is selected, and nothing if nothing is', async () => {
    const copy = vi.fn(() => true);
    document.execCommand = copy;
    await connected();
    await chord('C');
    expect(copy).not.toHaveBeenCalled();
    document.getSelection()?.selectAllChildren(keys().parentElement ?? document.body);
    await chord('C');
    expect(copy).toHaveBeenCalledExactlyOnceWith('copy');
  });

  test('Ctrl+Shift+V is left to the browser', async () => {
    await connected();
    const event = new KeyboardEvent('keydown', { key: 'V', ctrlKey: true, shiftKey: true, cancelable: true });
    keys().dispatchEvent(event);
    expect(event.defaultPrevented).toBe(false);
  });
});

describe('the search in a terminal', () => {
  async function search(wanted: string) {
    const { bridge } = await connected();
    bridge.say('panic, then panic');
    expect(screen.queryByRole('search')).toBeNull();
    await chord('F');
    const field = screen.getByRole('textbox', { name: `Search in ${label}` });
    expect(document.activeElement).toBe(field);
    await fireEvent.input(field, { target: { value: wanted } });
    return field;
  }
  const found = () => {
    const selection = document.getSelection();
    return selection?.isCollapsed === false ? shownText().slice(selection.anchorOffset).trimEnd() : '';
  };

  test('goes on with Enter and back with Shift+Enter', async () => {
    const field = await search('panic');
    await fireEvent.keyDown(field, { key: 'Enter' });
    expect(found()).toBe('panic, then panic');
    await fireEvent.keyDown(field, { key: 'Enter' });
    expect(found()).toBe('panic');
    await fireEvent.keyDown(field, { key: 'Enter', shiftKey: true });
    expect(found()).toBe('panic, then panic');
  });

  test('goes on and back with its buttons', async () => {
    await search('panic');
    for (const [name, text] of [
      ['Next', 'panic, then panic'],
      ['Next', 'panic'],
      ['Previous', 'panic, then panic'],
    ] as const) {
      await fireEvent.click(screen.getByRole('button', { name }));
      expect(found()).toBe(text);
    }
  });

  test.each(['Escape', 'its button'])('is left with %s, back to the terminal', async (how) => {
    const field = await search('panic');
    if (how === 'Escape') await fireEvent.keyDown(field, { key: 'Escape' });
    else await fireEvent.click(screen.getByRole('button', { name: 'Close search' }));
    expect(screen.queryByRole('search')).toBeNull();
    expect(document.activeElement).toBe(keys());
  });
});
