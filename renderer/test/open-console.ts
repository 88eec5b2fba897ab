// SPDX-License-Identifier: Apache-2.0
/** Opens the whole window over a fake bridge. */
import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import App from '../src/shell/App.svelte';
import { FakeBridge } from './fake-bridge.ts';

/** Renders the window and waits until it shows its hosts. @param prepare changes the bridge before */
export async function openConsole(prepare: (bridge: FakeBridge) => void = () => {}): Promise<FakeBridge> {
  cleanup();
  const bridge = new FakeBridge();
  prepare(bridge);
  window.luo = bridge;
  render(App);
  await screen.findByRole('heading', { level: 1, name: 'Hosts' });
  return bridge;
}

/** Goes to a view by the rail. */
export async function go(view: string): Promise<void> {
  await fireEvent.click(screen.getByRole('link', { name: view }));
  await screen.findByRole('heading', { level: 1, name: view });
}

/** Puts a value into a field. */
export async function type(label: string | RegExp, value: string): Promise<void> {
  await fireEvent.input(screen.getByLabelText(label), { target: { value } });
}
