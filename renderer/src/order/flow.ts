// SPDX-License-Identifier: Apache-2.0
/**
 * Turns a graph of dependencies into what the drawing library takes: nodes with places, and edges with arrows. An
 * arrow leads from the node that is preserved first to the one that needs it.
 */
import type { OrderGraph } from '@luo-console/agent/interface';
import { type Edge, MarkerType, type Node, Position } from '@xyflow/svelte';
import { orderKindMarks } from '../words/machine-states.ts';
import { type Layout, nodeSize } from './layout.ts';
import { concerned, edgeInCycle, type OrderStep, orderSteps } from './order.ts';

export type OrderFlowNode = Node<{ step: OrderStep; dimmed: boolean }, 'order'>;

/** With more edges than this their reasons stand in the list only. */
const mostLabels = 10;

function spoken({ node, number, needs, inCycle }: OrderStep): string {
  return [
    number === null ? '' : `${number}.`,
    `${orderKindMarks[node.kind].word} ${node.label}`,
    needs.length === 0 ? '' : `, needs ${needs.map(({ label }) => label).join(' and ')}`,
    inCycle ? ', in the circle' : '',
  ]
    .filter(Boolean)
    .join(' ')
    .replaceAll(' ,', ',');
}

/** @param highlighted the process of the machine whose nodes stand out; null for none */
export function flowNodes(
  graph: OrderGraph,
  { places }: Layout,
  highlighted: number | null,
): OrderFlowNode[] {
  const ours = highlighted === null ? null : concerned(graph, highlighted);
  return orderSteps(graph).map((step) => ({
    id: step.node.id,
    type: 'order',
    position: places.get(step.node.id) ?? { x: 0, y: 0 },
    data: { step, dimmed: ours !== null && ours.size > 0 && !ours.has(step.node.id) },
    ...nodeSize,
    handles: [
      { type: 'target', position: Position.Left, x: 0, y: nodeSize.height / 2, width: 1, height: 1 },
      {
        type: 'source',
        position: Position.Right,
        x: nodeSize.width,
        y: nodeSize.height / 2,
        width: 1,
        height: 1,
      },
      ...(['target', 'source'] as const).map((type) => ({
        id: 'back',
        type,
        position: Position.Bottom,
        x: nodeSize.width * (type === 'target' ? 0.3 : 0.7),
        y: nodeSize.height,
        width: 1,
        height: 1,
      })),
    ],
    ariaLabel: spoken(step),
  }));
}

/** The edges, turned round: `from` needs `to`, which therefore goes before it. */
export function flowEdges(graph: OrderGraph, { places }: Layout): Edge[] {
  const x = (id: string) => places.get(id)?.x ?? 0;
  const names = new Map(graph.nodes.map(({ id, label }) => [id, label]));
  return graph.edges.map(({ from, to, reason }, at) => {
    const bad = edgeInCycle(graph, from, to);
    return {
      id: String(at),
      source: to,
      target: from,
      // What closes a circle leads back: below the nodes, so that it is seen.
      ...(x(to) >= x(from) ? { sourceHandle: 'back', targetHandle: 'back' } : {}),
      ...(graph.edges.length <= mostLabels ? { label: reason } : {}),
      class: bad ? 'in-cycle' : '',
      markerEnd: {
        type: MarkerType.ArrowClosed,
        width: 16,
        height: 16,
        color: bad ? 'var(--bad)' : 'var(--control-line)',
      },
      ariaLabel: `${names.get(to) ?? to} before ${names.get(from) ?? from}: ${reason}`,
    };
  });
}
