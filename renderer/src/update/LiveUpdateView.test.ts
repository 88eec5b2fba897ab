// SPDX-License-Identifier: Apache-2.0
/** The view of a live update where there can be none: no host, or a host whose kernel cannot do it. */
import { screen } from '@testing-library/svelte';
import { expect, test } from 'vitest';
import { hosts } from '../../test/fake-data.ts';
import { type Rendered, renderInConsole } from '../../test/in-console.ts';
import LiveUpdateView from './LiveUpdateView.svelte';

const show = (prepare: (rendered: Rendered) => void) => renderInConsole(LiveUpdateView, {}, prepare);

test('without a host says so', () => {
  show(({ bridge }) => {
    bridge.hosts = [];
  });
  expect(screen.getByText('No host in focus')).toBeTruthy();
  expect(screen.queryByRole('button', { name: 'Plan live update' })).toBeNull();
});

test('without live update says why in whole sentences, and plans nothing', () => {
  show(({ bridge }) => {
    bridge.hosts = hosts().filter(({ name }) => name === 'lab-03');
  });
  const title = screen.getByText('The running kernel is built without live update');
  expect(title.parentElement?.textContent).toMatch(
    /This kernel is built without CONFIG_LIVEUPDATE\. This host cannot be updated by kexec with sessions\..*Boot a kernel built with/s,
  );
  expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Plan live update' }).disabled).toBe(true);
});
