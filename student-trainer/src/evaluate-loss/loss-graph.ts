import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import type { Graph, GraphTensor } from "@tandem/shared/onnx/graph.js";
import { gradients } from "../autodiff/gradients.js";
import type { LossSet, LossSetInputs, SignalRequirement } from "../losses/loss-set.js";
import { columnName } from "../training/pack-microbatch.js";
import { signalInputs } from "../training/signal-inputs.js";
import { teacherTensors } from "../training/teacher-tensors.js";

export interface LossGraphOptions {
  /** One loss. */
  readonly losses: LossSet;
  readonly requirement: SignalRequirement;
  readonly rows: number;
  /** V. */
  readonly vocabulary: number;
}

/** A loss over given logits. Inputs: `logits` [n,V], `targets`, `coefficients` [n], `scalars` [S] if there are any, columns, the
 * loss's parameters and the signal's. Outputs: `perToken` [n] and `gradient` [n,V], that of Σ coefficient·perToken; `gradient.NAME` of
 * parameters. */
export function buildLossGraph({ losses, requirement, rows, vocabulary }: LossGraphOptions): Graph {
  const g = new GraphBuilder();
  const inputs = lossInputs(g, { losses, requirement, rows, vocabulary });
  const columns = Array.from({ length: losses.columnCount }, (_, at) =>
    g.input(columnName(at), "f32", [rows]),
  );
  const [perToken] = losses.perToken<GraphTensor>(g, { ...inputs, columns });
  const seeds = [g.input("coefficients", "f32", [rows])];
  const wrt = [inputs.logits, ...inputs.parameters];
  const [gradient, ...byOwned] = gradients(g, { outputs: [perToken!], seeds, wrt });
  g.output("perToken", perToken!);
  g.output("gradient", gradient!);
  losses.parameters.forEach(({ name }, at) => g.output(`gradient.${name}`, byOwned[at]!));
  return g.build();
}

/** What the loss must know of each position before its columns: output `probe` [n]. */
export function buildLossProbeGraph(options: LossGraphOptions): Graph {
  const g = new GraphBuilder();
  g.output("probe", options.losses.probes(g, lossInputs(g, options))[0]!);
  return g.build();
}

function lossInputs(
  g: GraphBuilder,
  { losses, requirement, rows, vocabulary }: LossGraphOptions,
): LossSetInputs<GraphTensor> {
  const logits = g.input("logits", "f32", [rows, vocabulary]);
  const fed = signalInputs(requirement, vocabulary).map(({ name, dtype, width }) => {
    const shape = width === undefined ? [rows] : [rows, width];
    return [name, g.input(name, dtype, shape)] as const;
  });
  const scalarCount = losses.scalarsAt(0).length;
  const scalars = scalarCount === 0 ? undefined : g.input("scalars", "f32", [scalarCount]);
  return {
    logits,
    targets: g.input("targets", "i64", [rows]),
    ...teacherTensors(new Map(fed), requirement),
    scalars: Array.from({ length: scalarCount }, (_, at) =>
      g.reshape(g.slice(scalars!, 0, at, at + 1), []),
    ),
    columns: [],
    parameters: losses.parameters.map(({ name, shape }) => g.input(name, "f32", shape)),
  };
}
