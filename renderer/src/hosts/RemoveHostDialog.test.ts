// SPDX-License-Identifier: Apache-2.0
/** Taking a host off the list: it forgets the replica and leaves the host alone, says both, and stays open when it fails. */
import { fireEvent, screen, waitFor } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { failure } from '../../test/fake-bridge.ts';
import { host } from '../../test/fake-data.ts';
import { renderInConsole } from '../../test/in-console.ts';
import { hostWords } from '../words/hosts.ts';
import RemoveHostDialog from './RemoveHostDialog.svelte';

function open() {
  const onclose = vi.fn();
  return { ...renderInConsole(RemoveHostDialog, { host: host(), onclose }), onclose };
}

const button = (name: string) => screen.getByRole<HTMLButtonElement>('button', { name });

describe('removing a host', () => {
  test('says what is forgotten and that nothing happens on the host, and removes it', async () => {
    const { app, bridge, onclose } = open();
    expect(screen.getByRole('dialog', { name: 'Remove hv-01' })).toBeTruthy();
    expect(screen.getByText(`${hostWords.forgets('hv-01')} ${hostWords.untouched}`)).toBeTruthy();
    await fireEvent.click(button('Remove host'));
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
    expect(bridge.askedFor('RemoveHost')).toEqual([{ id: 'h1' }]);
    expect(app.hosts.find('h1')).toBeNull();
  });

  test('cannot be taken back while it happens', async () => {
    const gate = Promise.withResolvers<object>();
    const { bridge, onclose } = open();
    bridge.answers.set('RemoveHost', () => gate.promise);
    await fireEvent.click(button('Remove host'));
    expect(screen.getByRole('status').textContent).toBe('Remove host…');
    expect(button('Cancel').disabled).toBe(true);
    gate.resolve({});
    await waitFor(() => expect(onclose).toHaveBeenCalledOnce());
  });

  test('that fails stays open and says why', async () => {
    const { app, bridge, onclose } = open();
    bridge.answers.set('RemoveHost', () => {
      throw failure('FileUnusable', {
        path: '/x/hosts.json',
        errno: 'EROFS',
        reason: 'read-only file system',
      });
    });
    await fireEvent.click(button('Remove host'));
    expect((await screen.findByRole('alert')).textContent).toMatch(
      /hv-01 could not be removed: \/x\/hosts\.json cannot be used.*read-only file system\./s,
    );
    expect(onclose).not.toHaveBeenCalled();
    expect(app.hosts.find('h1')).not.toBeNull();
  });

  test('is cancelled without removing anything', async () => {
    const { bridge, onclose } = open();
    await fireEvent.click(button('Cancel'));
    expect(onclose).toHaveBeenCalledOnce();
    expect(bridge.askedFor('RemoveHost')).toEqual([]);
  });
});
