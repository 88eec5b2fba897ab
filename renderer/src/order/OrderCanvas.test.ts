// SPDX-License-Identifier: Apache-2.0
/** The drawing of the order: its nodes for the keyboard and in words, its circle, its size. */
import type { OrderGraph } from '@luo-console/agent/interface';
import { cleanup, fireEvent, render, screen, within } from '@testing-library/svelte';
import { tick } from 'svelte';
import { beforeEach, describe, expect, test } from 'vitest';
import { cyclicGraph, orderGraph } from '../../test/fake-data.ts';
import OrderCanvas from './OrderCanvas.svelte';

beforeEach(cleanup);

const nodes = () => screen.getAllByRole('group').filter((one) => /^(\d+\. )?[A-Z]\w+ /.test(nameOf(one)));
const nameOf = (element: Element) => element.getAttribute('aria-label') ?? '';
const drawing = () => screen.getByLabelText('Drawing of what depends on what');
const placeOf = (node: Element) => (node as HTMLElement).style.transform;

/** Disks that each need the one before. */
function chain(count: number): OrderGraph {
  const ids = Array.from({ length: count }, (_, at) => `disk-${at}`);
  return orderGraph({
    nodes: ids.map((id) => ({ id, kind: 'disk', label: id, detail: '', pids: [1] })),
    edges: [],
    order: ids,
  });
}

describe('the drawing of the order', () => {
  test('has a node for each, in order, that the keyboard reaches and that says what it needs', () => {
    render(OrderCanvas, { graph: orderGraph(), highlighted: null });
    expect(nodes().map(nameOf).toSorted()).toEqual([
      '1. Memory pc.ram',
      '2. Memory shared cache',
      '3. Disk db-02.qcow2',
      '4. Machine web-01, needs pc.ram and shared cache',
      '5. Machine db-02, needs shared cache and db-02.qcow2',
    ]);
    for (const node of nodes()) {
      expect(node.tabIndex).toBe(0);
      node.focus();
      expect(document.activeElement).toBe(node);
    }
  });

  test('is not changed by the keyboard', async () => {
    render(OrderCanvas, { graph: orderGraph(), highlighted: null });
    const [first] = nodes();
    if (!first) throw new Error('there is a node');
    const before = placeOf(first);
    first.focus();
    for (const key of ['ArrowRight', 'Delete', 'Backspace', 'Enter']) await fireEvent.keyDown(first, { key });
    expect(nodes()).toHaveLength(5);
    expect(placeOf(first)).toBe(before);
    expect(first.getAttribute('aria-selected')).not.toBe('true');
  });

  test('marks the nodes of a circle, which have no number', () => {
    render(OrderCanvas, { graph: cyclicGraph(), highlighted: null });
    const bad = screen
      .getAllByLabelText('in the circle')
      .map((mark) => nameOf(mark.closest('[role=group]') as Element));
    expect(bad.toSorted()).toEqual([
      'Device luo-test-a, needs luo-test-b, in the circle',
      'Device luo-test-b, needs luo-test-a, in the circle',
    ]);
    expect(within(drawing()).getAllByTitle('No order')).toHaveLength(3);
  });

  test('names its controls, and has none that locks it', () => {
    render(OrderCanvas, { graph: orderGraph(), highlighted: null });
    expect(screen.getAllByRole('button').map((one) => one.title || nameOf(one))).toEqual([
      'Larger',
      'Smaller',
      'Show all of it',
    ]);
  });

  test('follows the graph', async () => {
    const { rerender } = render(OrderCanvas, { graph: orderGraph(), highlighted: 2041 });
    await rerender({ graph: chain(2), highlighted: null });
    await tick();
    expect(nodes().map(nameOf)).toEqual(['1. Disk disk-0', '2. Disk disk-1']);
  });

  test.each([
    [1, 150],
    [40, 1100],
  ])(
    'of %i nodes is %i pixels high: never too low to be seen, never too high to scroll past',
    (count, height) => {
      render(OrderCanvas, { graph: chain(count), highlighted: null });
      expect(drawing().parentElement?.style.height ?? drawing().style.height).toBe(`${height}px`);
    },
  );
});
