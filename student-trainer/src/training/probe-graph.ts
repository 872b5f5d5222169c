import { listParameters } from "@tandem/shared/models/parameters.js";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import type { Graph, GraphTensor } from "@tandem/shared/onnx/graph.js";
import {
  after,
  chunkRows,
  keptStates,
  lossSettings,
  times,
  type GradientGraphOptions,
} from "./gradient-graph.js";
import { lossProbes } from "./loss-rows.js";

/** The name of a probe among the graph's outputs. */
export function probeName(index: number): string {
  return `probe.${index}`;
}

/** The forward pass alone, for losses that must know each position under the current student before they see any. Inputs as those of
 * `buildGradientGraph`, without weights, coefficients and columns. Outputs: `probe.I` [chunks·C]. */
export function buildProbeGraph(options: GradientGraphOptions): Graph {
  const { config, chunks, losses } = options;
  const g = new GraphBuilder();
  const parameters = new Map(
    listParameters(config).map(({ name, shape }) => [name, g.input(name, "f32", shape)]),
  );
  const weight = (name: string): GraphTensor => parameters.get(name)!;
  const kept = keptStates(g, options, weight);
  const settings = lossSettings(g, losses);
  const parts: (readonly GraphTensor[])[] = [];
  for (let chunk = 0; chunk < chunks; chunk++) {
    const states = kept.map((each) => {
      const own = g.slice(each, 0, times(chunk, "C"), times(chunk + 1, "C")); // [C,D]
      return after(g, own, parts.at(-1)?.at(-1));
    });
    const inputs = chunkRows(g, options, { states, weight, chunk, columns: false });
    parts.push(lossProbes(g, options, { ...settings, rows: inputs })); // [C] each
  }
  for (let probe = 0; probe < losses.probeCount; probe++) {
    g.output(
      probeName(probe),
      g.concat(
        parts.map((values) => values[probe]!),
        0,
      ),
    );
  }
  return g.build();
}
