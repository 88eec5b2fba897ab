// SPDX-License-Identifier: Apache-2.0
/** The hosts and the top bar, for a host in each of its five states. */
import type { ConnectionState } from '@luo-console/electron/interface';
import { fireEvent, screen, within } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import type { FakeBridge } from '../../test/fake-bridge.ts';
import { progress, you } from '../../test/fake-data.ts';
import { openConsole } from '../../test/open-console.ts';

const only =
  (state: ConnectionState, more: object = {}) =>
  (fake: FakeBridge) => {
    fake.hosts = fake.hosts.slice(0, 1).map((host) => ({ ...host, state, detail: '', ...more }));
  };

describe.each<[ConnectionState, string, RegExp]>([
  ['disconnected', 'Disconnected', /^Connect$/],
  ['connecting', 'Connecting', /^(Disconnect|Cancel)/],
  ['connected', 'Connected', /^Disconnect$/],
  ['away', 'Away', /^Disconnect$/],
  ['failed', 'Failed', /^Connect( again)?$/],
])('a host that is %s', (state, word, button) => {
  test('is shown with that word in the bar and in the view', async () => {
    await openConsole(only(state));
    const bar = screen.getByLabelText('Host in focus');
    expect(within(bar).getByText(word)).toBeTruthy();
    expect(screen.getAllByText(word).length).toBeGreaterThan(1);
  });

  test('offers what can be done with its connection', async () => {
    await openConsole(only(state));
    expect(await screen.findByRole('button', { name: button })).toBeTruthy();
  });
});

describe('the hosts', () => {
  test('say why a connection failed', async () => {
    await openConsole(only('failed', { detail: 'Permission denied (publickey).' }));
    expect(screen.getByText('The connection failed')).toBeTruthy();
    expect(screen.getAllByText('Permission denied (publickey).').length).toBeGreaterThan(0);
  });

  test('tell a host that is away in its update from one whose connection was lost', async () => {
    const bridge = await openConsole(only('away'));
    expect(screen.getByText('The connection was lost')).toBeTruthy();
    bridge.changeStatus('h1', { progress: progress('kexec'), phase: 'kexec' });
    await fireEvent.click(await screen.findByRole('button', { name: 'Show the live update' }));
    expect(await screen.findByRole('heading', { level: 1, name: 'Live update' })).toBeTruthy();
  });

  test('say in the bar that a viewer only looks, and which host asks', async () => {
    const bridge = await openConsole();
    bridge.changeStatus('h1', { you: { ...you, role: 'viewer' } });
    expect(await screen.findByText('viewer: looks only')).toBeTruthy();
    bridge.changeHost('h2', { state: 'connecting', prompt: 'prompt-1' });
    await fireEvent.click(await screen.findByRole('button', { name: 'ssh asks for hv-02' }));
    expect(await screen.findByRole('heading', { name: 'ssh asks' })).toBeTruthy();
  });
});
