// SPDX-License-Identifier: Apache-2.0
/**
 * Reads a graph of dependencies: the order with its reasons, the circle if there is one, and the part that belongs
 * to one machine.
 */
import type { OrderGraph, OrderNode } from '@luo-console/agent/interface';

/** A node at its place in the order. `number` counts from 1; null where a circle leaves no order. */
export interface OrderStep {
  node: OrderNode;
  number: number | null;
  needs: { label: string; reason: string }[];
  inCycle: boolean;
}

function labels({ nodes }: OrderGraph): Map<string, string> {
  return new Map(nodes.map(({ id, label }) => [id, label]));
}

/** All nodes in the order of preserving; in the agent's order if there is a circle. */
export function orderSteps(graph: OrderGraph): OrderStep[] {
  const place = new Map(graph.order.map((id, at) => [id, at + 1]));
  const names = labels(graph);
  const circle = new Set(graph.cycle);
  const sorted = graph.nodes.toSorted(
    (one, other) => (place.get(one.id) ?? Infinity) - (place.get(other.id) ?? Infinity) || 0,
  );
  return sorted.map((node) => ({
    node,
    number: place.get(node.id) ?? null,
    needs: graph.edges
      .filter(({ from }) => from === node.id)
      .map(({ to, reason }) => ({ label: names.get(to) ?? to, reason })),
    inCycle: circle.has(node.id),
  }));
}

/** The circle by the names of its nodes, closed: `a → b → a`. Empty if there is none. */
export function cycleWords(graph: OrderGraph): string {
  const names = labels(graph);
  const circle = graph.cycle.map((id) => names.get(id) ?? id);
  const [first] = circle;
  if (first === undefined) return '';
  const closed =
    graph.cycle.length > 1 && graph.cycle.at(-1) === graph.cycle[0] ? circle : [...circle, first];
  return closed.join(' → ');
}

/** The ids of a machine's nodes and of all they need, by the machine's process. */
export function concerned(graph: OrderGraph, pid: number): Set<string> {
  const found = new Set<string>();
  const waiting = graph.nodes.filter(({ pids }) => pids.includes(pid)).map(({ id }) => id);
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    waiting.push(...graph.edges.filter(({ from }) => from === id).map(({ to }) => to));
  }
  return found;
}

/** What concerns a machine, and the machines that need some of it as well. The order's numbers stay those of the whole. */
export function narrowed(graph: OrderGraph, pid: number): OrderGraph {
  const ours = concerned(graph, pid);
  const sharing = graph.edges.filter(({ to }) => ours.has(to)).map(({ from }) => from);
  const shown = new Set([...ours, ...sharing, ...graph.cycle]);
  return {
    ...graph,
    nodes: graph.nodes.filter(({ id }) => shown.has(id)),
    edges: graph.edges.filter(({ from, to }) => shown.has(from) && shown.has(to)),
  };
}

/** Whether an edge is part of the circle. */
export function edgeInCycle({ cycle }: OrderGraph, from: string, to: string): boolean {
  return cycle.some((id, at) => id === from && (cycle[at + 1] ?? cycle[0]) === to);
}
