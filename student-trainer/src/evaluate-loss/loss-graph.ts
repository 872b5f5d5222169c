import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import type { Graph } from "@tandem/shared/onnx/graph.js";
import { stateWidth } from "@tandem/shared/wire/state-number.js";
import type { LossSet } from "../losses/loss-set.js";
import type { SignalRequirement } from "../losses/signal-requirement.js";
import {
  declareLossRows,
  declareScalars,
  lossGradients,
  lossProbes,
} from "../training/loss-rows.js";

export interface LossGraphOptions {
  /** One loss. */
  readonly losses: LossSet;
  readonly requirement: SignalRequirement;
  /** A multiple of `lossBlockRows`. */
  readonly rows: number;
  /** V. */
  readonly vocabulary: number;
  /** Default: `lossBlockRows`. */
  readonly blockRows?: number;
}

/** The name of one of the student's hidden states among the inputs. */
export function layerName(layer: number): string {
  return `studentLayer.${layer}`;
}

/** A loss over given logits. Inputs: `logits` [n,V], `studentLayer.I` [n,D], `targets`, `coefficients` [n], `scalars` [S] if there are any,
 * columns, the loss's parameters and the signal's. Outputs: `perToken` [n] and `gradient` [n,V], that of Σ coefficient·perToken;
 * `gradient.NAME` of hidden states and parameters. */
export function buildLossGraph(options: LossGraphOptions): Graph {
  const g = new GraphBuilder();
  const { perToken, byLogits, byLayers, byOwned } = lossGradients(g, options, {
    ...declareLoss(g, options, true),
    coefficients: g.input("coefficients", "f32", [options.rows]),
    weights: g.constant([1], [1]),
  });
  g.output("perToken", perToken[0]!);
  g.output("gradient", byLogits);
  options.losses.studentLayers.forEach((layer, at) => {
    g.output(`gradient.${layerName(layer)}`, byLayers[at]!);
  });
  options.losses.parameters.forEach(({ name }, at) => g.output(`gradient.${name}`, byOwned[at]!));
  return g.build();
}

/** What the loss must know of each position before its columns: output `probe` [n]. */
export function buildLossProbeGraph(options: LossGraphOptions): Graph {
  const g = new GraphBuilder();
  g.output("probe", lossProbes(g, options, declareLoss(g, options, false))[0]!);
  return g.build();
}

function declareLoss(g: GraphBuilder, options: LossGraphOptions, columns: boolean) {
  const logits = g.input("logits", "f32", [options.rows, options.vocabulary]);
  const { losses, rows: size } = options;
  const layers = losses.studentLayers.map((layer) =>
    g.input(layerName(layer), "f32", [size, stateWidth(layer, losses.sizes!.student)]),
  );
  return {
    rows: declareLossRows(g, options, { logits, layers, suffix: "", size, columns }),
    ...declareScalars(g, losses),
    owned: losses.parameters.map(({ name, shape }) => g.input(name, "f32", shape)),
  };
}
