// SPDX-License-Identifier: Apache-2.0
/** The order of preserving: its reasons, its circle, its drawing and its list. */
import { fireEvent, render, screen, within } from '@testing-library/svelte';
import { describe, expect, test } from 'vitest';
import { cyclicGraph, orderGraph } from '../../test/fake-data.ts';
import { flowEdges, flowNodes } from './flow.ts';
import { layoutOrder } from './layout.ts';
import OrderPanel from './OrderPanel.svelte';
import { concerned, cycleWords, edgeInCycle, narrowed, orderSteps } from './order.ts';

describe('the order', () => {
  test('numbers the nodes and says what each needs', () => {
    const steps = orderSteps(orderGraph());
    expect(steps.map(({ node, number }) => [number, node.label])).toEqual([
      [1, 'pc.ram'],
      [2, 'shared cache'],
      [3, 'db-02.qcow2'],
      [4, 'web-01'],
      [5, 'db-02'],
    ]);
    expect(steps[3]?.needs).toEqual([
      { label: 'pc.ram', reason: 'it is the guest’s memory' },
      { label: 'shared cache', reason: 'its VMM keeps something in it' },
    ]);
  });

  test('of one machine is what it needs, and what that needs', () => {
    expect([...concerned(orderGraph(), 2141)].toSorted()).toEqual(['d1', 'f2', 'm2']);
    expect(concerned(orderGraph(), 1)).toEqual(new Set());
  });

  test('can be narrowed to one machine and who shares with it, with the numbers of the whole', () => {
    const narrow = narrowed(orderGraph(), 2041);
    expect(orderSteps(narrow).map(({ number, node }) => [number, node.label])).toEqual([
      [1, 'pc.ram'],
      [2, 'shared cache'],
      [4, 'web-01'],
      [5, 'db-02'],
    ]);
    expect(narrow.edges).toHaveLength(3);
  });

  test('has no numbers where there is a circle, which is named whether or not the agent closes it', () => {
    const graph = cyclicGraph();
    expect(orderSteps(graph).map(({ number, inCycle }) => [number, inCycle])).toEqual([
      [null, true],
      [null, true],
      [null, false],
    ]);
    const words = 'luo-test-a → luo-test-b → luo-test-a';
    expect(cycleWords(graph)).toBe(words);
    expect(cycleWords({ ...graph, cycle: ['a', 'b'] })).toBe(words);
    expect(cycleWords(orderGraph())).toBe('');
    expect(edgeInCycle(graph, 'b', 'a')).toBe(true);
    expect(edgeInCycle({ ...graph, cycle: ['a', 'b'] }, 'b', 'a')).toBe(true);
    expect(edgeInCycle(graph, 'm1', 'a')).toBe(false);
  });

  test('goes from left to right in the drawing, also past a circle', () => {
    const { places, width, height } = layoutOrder(orderGraph());
    const x = (id: string) => places.get(id)?.x ?? Number.NaN;
    expect(x('f1')).toBeLessThan(x('m1'));
    expect(x('f2')).toBeLessThan(x('m2'));
    expect(width).toBeGreaterThan(400);
    expect(height).toBeGreaterThan(100);
    expect(layoutOrder(cyclicGraph()).places.size).toBe(3);
  });

  test('is led back below the nodes where a circle is closed', () => {
    const graph = cyclicGraph();
    const edges = flowEdges(graph, layoutOrder(graph));
    expect(edges.filter(({ sourceHandle }) => sourceHandle === 'back')).toHaveLength(1);
    expect(edges.map((edge) => edge.class)).toEqual(['in-cycle', 'in-cycle', '']);
  });

  test('is told of each node and edge of the drawing in words', () => {
    const graph = orderGraph();
    const nodes = flowNodes(graph, layoutOrder(graph), 2041);
    expect(nodes.find(({ id }) => id === 'm1')?.ariaLabel).toBe(
      '4. Machine web-01, needs pc.ram and shared cache',
    );
    expect(nodes.filter(({ data }) => data.dimmed).map(({ id }) => id)).toEqual(['d1', 'm2']);
    expect(flowEdges(graph, layoutOrder(graph))[0]?.ariaLabel).toBe(
      'pc.ram before web-01: it is the guest’s memory',
    );
  });
});

describe('the panel', () => {
  test('draws the nodes with their numbers, reachable by the keyboard, and lists them', async () => {
    render(OrderPanel, { graph: orderGraph(), highlighted: 2041 });
    const nodes = await screen.findAllByRole('group', { name: /^\d\. / });
    expect(nodes).toHaveLength(5);
    expect(nodes.every(({ tabIndex }) => tabIndex === 0)).toBe(true);
    const list = screen.getByRole('list', { name: 'Order of preserving' });
    expect(within(list).getAllByRole('listitem')[4]?.textContent).toMatch(
      /5.*db-02.*needs shared cache \(its VMM keeps something in it\), db-02\.qcow2 \(it is a disk of the machine/s,
    );
  });

  test('of many nodes shows a machine’s own first, and the whole host when asked', async () => {
    const graph = orderGraph();
    const more = Array.from({ length: 10 }, (_, at) => ({
      id: `x${at}`,
      kind: 'disk' as const,
      label: `disk ${at}`,
      detail: '',
      pids: [7],
    }));
    render(OrderPanel, { graph: { ...graph, nodes: [...graph.nodes, ...more] }, highlighted: 2041 });
    const list = () => screen.getByRole('list', { name: 'Order of preserving' });
    expect(within(list()).getAllByRole('listitem')).toHaveLength(4);
    await fireEvent.click(screen.getByRole('checkbox', { name: 'The whole host: 15 nodes' }));
    expect(within(list()).getAllByRole('listitem')).toHaveLength(15);
  });

  test('says so when there is a circle, and marks its nodes', () => {
    render(OrderPanel, { graph: cyclicGraph() });
    expect(screen.getByRole('alert').textContent).toContain('Circle: luo-test-a → luo-test-b → luo-test-a');
    expect(screen.queryByRole('list', { name: 'Order of preserving' })).toBeNull();
  });

  test('says so when there is nothing', () => {
    render(OrderPanel, { graph: { nodes: [], edges: [], order: [], cycle: [] } });
    expect(screen.getByText(/Nothing depends on anything/)).toBeTruthy();
  });
});
