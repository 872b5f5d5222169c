import type { GraphNode, GraphOutput } from "./graph.js";

/** Dead-code elimination: the nodes that the outputs need, in recorded order, and every declared input (a session's
 * interface does not depend on which inputs happen to be used). */
export function liveNodes(
  nodes: readonly GraphNode[],
  outputs: readonly GraphOutput[],
): readonly GraphNode[] {
  const live = new Set<GraphNode>();
  const pending = outputs.map((output) => output.tensor.node);
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (live.has(node)) continue;
    live.add(node);
    for (const input of node.inputs) pending.push(input.node);
  }
  return nodes.filter((node) => live.has(node) || node.kind === "input");
}
