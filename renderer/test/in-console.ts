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
 * @param props or what makes them of the window's state
 * @param prepare changes bridge and state before
 */
export function renderInConsole<P extends object>(
  component: Component<P>,
  props: P | ((rendered: Rendered) => P),
  prepare: (rendered: Rendered) => void = () => {},
): Rendered {
  cleanup();
  const bridge = new FakeBridge();
  window.luo = bridge;
  const app = new ConsoleState();
  prepare({ app, bridge });
  app.hosts.watch();
  const given = typeof props === 'function' ? props({ app, bridge }) : props;
  render(InConsole, { app, component: component as Component<object>, given });
  return { app, bridge };
}
