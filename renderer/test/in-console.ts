// SPDX-License-Identifier: Apache-2.0
/** Renders one component as a part of the window, with the window's state and a fake bridge behind it. */
import { cleanup, render } from '@testing-library/svelte';
import type { Component } from 'svelte';
import { ConsoleState } from '../src/state/console.svelte.ts';
import { FakeBridge } from './fake-bridge.ts';
import InConsole from './InConsole.svelte';

export interface Rendered {
  app: ConsoleState;
  bridge: FakeBridge;
}

/**
 * Renders a component with its properties.
 * @param prepare changes bridge and state before
 */
export function renderInConsole<P extends object>(
  component: Component<P>,
  props: P,
  prepare: (rendered: Rendered) => void = () => {},
): Rendered {
  cleanup();
  const bridge = new FakeBridge();
  window.luo = bridge;
  const app = new ConsoleState();
  prepare({ app, bridge });
  app.hosts.watch();
  render(InConsole, { app, component: component as Component<object>, given: props });
  return { app, bridge };
}
