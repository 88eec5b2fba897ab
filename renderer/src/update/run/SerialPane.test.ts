// SPDX-License-Identifier: Apache-2.0
/** The serial console beside an update: it listens once, also while folded, says how it ended, and is opened anew. */
import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { failure } from '../../../test/fake-bridge.ts';
import { host } from '../../../test/fake-data.ts';
import { type Rendered, renderInConsole } from '../../../test/in-console.ts';
import { UpdateView } from '../../state/update-view.svelte.ts';
import SerialPane from './SerialPane.svelte';

async function show(prepare?: (rendered: Rendered) => void) {
  const run = new UpdateView('h1');
  const shown = renderInConsole(SerialPane, { host: host(), run }, prepare);
  await waitFor(() => expect(shown.bridge.askedFor('OpenTerminal')).toHaveLength(1));
  return { ...shown, run };
}

const pane = () => screen.getByRole('region', { name: 'Serial console' });

describe('the serial console beside an update', () => {
  test('shows what the host says', async () => {
    const { bridge } = await show();
    expect(bridge.askedFor('OpenTerminal')).toMatchObject([{ host: 'h1', kind: 'serial' }]);
    await waitFor(() => expect(pane().textContent).toContain('Retrieved live update data'));
  });

  test('keeps listening while it is folded away', async () => {
    const { bridge } = await show();
    await waitFor(() => expect(bridge.askedFor('WatchTerminal')).toHaveLength(1));
    await fireEvent.click(screen.getByRole('button', { name: 'Fold the serial console', expanded: true }));
    expect(screen.queryByRole('heading', { name: 'Serial console' })).toBeNull();
    bridge.say('heard while folded');
    await fireEvent.click(screen.getByRole('button', { name: 'Show the serial console', expanded: false }));
    expect(pane().textContent).toContain('heard while folded');
    expect(bridge.askedFor('OpenTerminal')).toHaveLength(1);
  });

  test.each<[string, unknown, number | null, string]>([
    ['by itself', null, null, 'The terminal has ended.'],
    ['with its program', null, 2, 'The terminal has ended with exit status 2.'],
    [
      'with the connection',
      failure('NotConnected'),
      null,
      'The host is not connected. Connect to it, then try again.',
    ],
  ])('that ended %s says so, and is opened anew', async (_, why, exitCode, words) => {
    const { bridge } = await show();
    await waitFor(() => expect(bridge.askedFor('WatchTerminal')).toHaveLength(1));
    bridge.say('', exitCode);
    bridge.end('WatchTerminal', why);
    expect((await screen.findByRole('status')).textContent).toContain(words);
    await fireEvent.click(screen.getByRole('button', { name: 'Reconnect' }));
    await waitFor(() => expect(bridge.askedFor('OpenTerminal')).toHaveLength(2));
    expect(screen.queryByRole('status')).toBeNull();
  });

  test('that cannot be opened says why, and is tried again', async () => {
    const { bridge } = await show((rendered) =>
      rendered.bridge.answers.set('OpenTerminal', () => {
        throw failure('FileUnusable', {
          path: '/run/lab/hv-01/serial.sock',
          errno: 'ENOENT',
          reason: 'no such file or directory',
        });
      }),
    );
    expect((await screen.findByRole('status')).textContent).toMatch(
      /serial\.sock cannot be used\. No such file/,
    );
    bridge.answers.delete('OpenTerminal');
    await fireEvent.click(screen.getByRole('button', { name: 'Reconnect' }));
    await waitFor(() => expect(bridge.askedFor('WatchTerminal')).toHaveLength(1));
  });
});
