// SPDX-License-Identifier: Apache-2.0
/**
 * Places the nodes of a graph of dependencies, from left to right in the order of preserving. Sizes and places are
 * pixels at full size.
 */
import { Graph, layout } from '@dagrejs/dagre';
import type { OrderGraph } from '@luo-console/agent/interface';

export const nodeSize = { width: 190, height: 48 };

export interface Layout {
  /** Upper left corner of each node by its id. */
  places: Map<string, { x: number; y: number }>;
  width: number;
  height: number;
}

/** Room between two ranks for an edge's reason. A character is six pixels at most. */
function labelWidth(reason: string): number {
  return Math.min(150, 6 * reason.length);
}

/** Lays out a graph; one with a circle as well. */
export function layoutOrder({ nodes, edges }: OrderGraph): Layout {
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ rankdir: 'LR', nodesep: 16, ranksep: 44, marginx: 8, marginy: 8 });
  for (const { id } of nodes) graph.setNode(id, { ...nodeSize });
  edges.forEach(({ from, to, reason }, at) => {
    if (graph.hasNode(from) && graph.hasNode(to)) {
      graph.setEdge(to, from, { width: labelWidth(reason), height: 14, labelpos: 'c' }, String(at));
    }
  });
  layout(graph);
  const places = new Map(
    nodes.map(({ id }) => {
      const { x, y } = graph.node(id) as { x: number; y: number };
      return [id, { x: x - nodeSize.width / 2, y: y - nodeSize.height / 2 }];
    }),
  );
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  return { places, width, height };
}
