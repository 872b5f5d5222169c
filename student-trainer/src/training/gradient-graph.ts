import type { ModelConfig } from "@tandem/shared/checkpoint/model-config.js";
import type { Attend, DecoderOutput } from "@tandem/shared/models/decoder-parts.js";
import { decode, logits, type PlaceInputs } from "@tandem/shared/models/decoder.js";
import { headName, listParameters } from "@tandem/shared/models/parameters.js";
import { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import type { Graph, GraphTensor } from "@tandem/shared/onnx/graph.js";
import { gradients } from "../autodiff/gradients.js";
import type { LossSet } from "../losses/loss-set.js";
import type { SignalRequirement } from "../losses/signal-requirement.js";
import {
  declareLossRows,
  declareScalars,
  lossGradients,
  type LossRows,
  type LossSettings,
} from "./loss-rows.js";
import { stateOf } from "./state-of.js";

export interface GradientGraphOptions {
  readonly config: ModelConfig;
  /** V: the head is cut to it. */
  readonly vocabulary: number;
  readonly losses: LossSet;
  readonly requirement: SignalRequirement;
  /** How many chunks the loss rows are cut into; one graph per number. */
  readonly chunks: number;
}

/** The name of a parameter's gradient among the graph's outputs. */
export function gradientName(parameter: string): string {
  return `gradient.${parameter}`;
}

/** Forward and backward of one microbatch. Inputs: all parameters by name, those of the losses included, `ids` [B,T], positions, `weights` [L] of the losses,
 * `scalars` [S] if there are any, and the loss rows as `packMicrobatch` names them. Outputs: `losses` [L], each unweighted, `measures` [M] if there are any, and `gradient.NAME`.
 *
 * Logits exist for one chunk at a time, what the losses make of them for a few of its rows: a chunk's gradient is taken at once (the coefficients are known beforehand), so that only
 * its hidden states' gradient [C,D] and the sum for the head stay behind. The body's backward pass starts from those. */
export function buildGradientGraph(options: GradientGraphOptions): Graph {
  const { config, chunks } = options;
  const g = new GraphBuilder();
  const parameters = new Map(
    listParameters(config).map(({ name, shape }) => [name, g.input(name, "f32", shape)]),
  );
  const weight = (name: string): GraphTensor => parameters.get(name)!;
  const kept = keptStates(g, options, weight);
  const head = weight(headName(config));
  const lossWeights = g.input("weights", "f32", [options.losses.names.length]);
  const settings = lossSettings(g, options.losses);
  const ownedGradients: GraphTensor[] = [];

  let headGradient: GraphTensor | undefined;
  let lossSums: GraphTensor | undefined;
  let measured: GraphTensor | undefined;
  /** Of each chunk those of `kept`. */
  const keptGradients: (readonly GraphTensor[])[] = [];
  for (let chunk = 0; chunk < chunks; chunk++) {
    // Cut off from the body: with a tied head there would be a second path from the loss to the embedding.
    const behind = [lossSums, headGradient, ...(keptGradients.at(-1) ?? [])];
    const states = kept.map((each) => {
      const cut = g.slice(each, 0, times(chunk, "C"), times(chunk + 1, "C")); // [C,D]
      return g.stopGradient(after(g, cut, ...behind));
    });
    const own = chunkRows(g, options, { states, weight, chunk, columns: true });
    const { sums, measures, byLogits, byLayers, byOwned } = lossGradients(g, options, {
      ...settings,
      rows: own,
      coefficients: g.input(`coefficients.${chunk}`, "f32", ["C"]),
      weights: lossWeights,
    });
    const [byHead, byRows] = gradients(g, {
      outputs: [own.logits],
      seeds: [byLogits],
      wrt: [head, states[0]!],
    });
    headGradient = headGradient === undefined ? byHead! : g.add(headGradient, byHead!);
    lossSums = lossSums === undefined ? sums : g.add(lossSums, sums);
    if (measures !== undefined) {
      measured = measured === undefined ? measures : g.add(measured, measures);
    }
    keptGradients.push([byRows!, ...byLayers]);
    byOwned.forEach((gradient, at) => {
      const before = ownedGradients[at];
      ownedGradients[at] = before === undefined ? gradient : g.add(before, gradient);
    });
  }
  g.output("losses", lossSums!);
  if (measured !== undefined) g.output("measures", measured);
  options.losses.parameters.forEach(({ name }, at) => {
    g.output(gradientName(name), ownedGradients[at]!);
  });

  const names = [...parameters.keys()];
  const byParameters = gradients(g, {
    outputs: kept,
    seeds: kept.map((_, at) =>
      g.concat(
        keptGradients.map((own) => own[at]!),
        0,
      ),
    ),
    wrt: [...parameters.values()],
  });
  names.forEach((name, index) => {
    const own = byParameters[index]!;
    if (name !== headName(config)) g.output(gradientName(name), own);
    else g.output(gradientName(name), config.tiedHead ? g.add(headGradient!, own) : headGradient!);
  });
  return g.build();
}

/** x, but computed only when the others are there: engines order freely what does not depend on each other, and would hold the logits
 * of all chunks at once. Adds 0·(one value of each). */
export function after(
  g: GraphBuilder,
  x: GraphTensor,
  ...others: readonly (GraphTensor | undefined)[]
): GraphTensor {
  return others.reduce<GraphTensor>((sum, other) => {
    if (other === undefined) return sum;
    const one = other.shape.reduce<GraphTensor>(
      (value, _, axis) => g.slice(value, axis, 0, 1),
      other,
    );
    return g.add(sum, g.mul(g.reshape(one, [1]), g.scalar(0)));
  }, x);
}

/** At the positions that carry loss, [chunks·C,D] each: the states behind the final norm, then those of `LossSet.studentLayers`. */
export function keptStates(
  g: GraphBuilder,
  { config, chunks, losses }: GradientGraphOptions,
  weight: (name: string) => GraphTensor,
): readonly GraphTensor[] {
  const output = body(g, config, weight);
  const lossRows = g.reshape(g.input("lossRows", "i64", [chunks, "C"]), [-1]);
  const states = [output.hidden, ...losses.studentLayers.map((own) => stateOf(output, own))];
  return states.map((state) => g.gather(state, lossRows, 0));
}

/** B rows of T positions: the hidden states behind the final norm, [B·T,D], and those of every layer. */
function body(
  g: GraphBuilder,
  config: ModelConfig,
  weight: (name: string) => GraphTensor,
): DecoderOutput<GraphTensor> {
  const ids = g.input("ids", "i64", ["B", "T"]);
  const places = positionInputs(g, config);
  return decode(g, config, weight, {
    ids: g.reshape(ids, ["B*T"]),
    places,
    attend: attendWithinRows(g, config),
  });
}

/** Fed for the T positions of a row; every row has the same. */
function positionInputs(g: GraphBuilder, config: ModelConfig): PlaceInputs<GraphTensor> {
  if (config.family === "gpt2") {
    const positions = g.expand(g.input("positions", "i64", ["T"]), ["B", "T"]);
    return { kind: "learned", positions: g.reshape(positions, ["B*T"]) };
  }
  const half = config.headDim / 2;
  const repeat = (name: string): GraphTensor =>
    g.reshape(g.expand(g.input(name, "f32", ["T", half]), ["B", "T", half]), ["B*T", half]);
  return { kind: "rotary", cos: repeat("cos"), sin: repeat("sin") };
}

function attendWithinRows(g: GraphBuilder, config: ModelConfig): Attend<GraphTensor> {
  const { heads, kvHeads, headDim } = config;
  const unpack = (x: GraphTensor, count: number) => g.reshape(x, ["B", "T", count * headDim]);
  return (_layer, q, k, v) => {
    const scale = 1 / Math.sqrt(headDim);
    const out = g.causalAttention(unpack(q, heads), unpack(k, kvHeads), unpack(v, kvHeads), {
      heads,
      kvHeads,
      scale,
    });
    return g.reshape(out, ["B*T", heads * headDim]);
  };
}

export interface ChunkInputs {
  /** The chunk's `keptStates`, [C,D] each. */
  readonly states: readonly GraphTensor[];
  readonly weight: (name: string) => GraphTensor;
  readonly chunk: number;
  readonly columns: boolean;
}

/** One chunk of loss rows with their logits. */
export function chunkRows(
  g: GraphBuilder,
  options: GradientGraphOptions,
  { states, weight, chunk, columns }: ChunkInputs,
): LossRows {
  const { config, vocabulary } = options;
  const [hidden, ...layers] = states;
  return declareLossRows(g, options, {
    logits: logits(g, config, weight, { hidden: hidden!, vocabulary }), // [C,V]
    layers,
    suffix: `.${chunk}`,
    size: "C",
    columns,
  });
}

/** Inputs of the losses that are the same for all chunks. */
export function lossSettings(g: GraphBuilder, losses: LossSet): LossSettings {
  return {
    ...declareScalars(g, losses),
    owned: losses.parameters.map(({ name, shape }) => g.input(name, "f32", shape)),
  };
}

export function times(factor: number, symbol: string): string | number {
  return factor === 0 ? 0 : factor === 1 ? symbol : `${factor}*${symbol}`;
}
