import type { GraphBuilder } from "@tandem/shared/onnx/graph-builder.js";
import type { GraphTensor } from "@tandem/shared/onnx/graph.js";
import type { Dim } from "@tandem/shared/tensor/tensor-ops.js";
import { gradients } from "../autodiff/gradients.js";
import type { LossSet } from "../losses/loss-set.js";
import type { LossSetInputs } from "../losses/loss-set-inputs.js";
import type { SignalRequirement } from "../losses/signal-requirement.js";
import { columnName } from "./pack-microbatch.js";
import { inRowBlocks, lossBlockRows } from "./row-blocks.js";
import { signalInputs } from "./signal-inputs.js";
import { teacherTensors } from "./teacher-tensors.js";

export interface LossRowsOptions {
  readonly losses: LossSet;
  readonly requirement: SignalRequirement;
  /** V. */
  readonly vocabulary: number;
  /** Rows computed at a time; the number of rows is a multiple of it. Default: `lossBlockRows`. */
  readonly blockRows?: number;
}

/** Everything about C rows that the losses see, rows first. */
export interface LossRows {
  /** f32 [C,V]. */
  readonly logits: GraphTensor;
  /** f32 [C,D]: those of `LossSet.studentLayers`, in its order. */
  readonly layers: readonly GraphTensor[];
  /** f32 [C] each: sequence and index, where the losses keep sequences together. */
  readonly places: readonly GraphTensor[];
  /** i64 [C]. */
  readonly targets: GraphTensor;
  /** By `signalInputs`, in its order. */
  readonly signal: readonly GraphTensor[];
  /** f32 [C] each. */
  readonly columns: readonly GraphTensor[];
}

/** What does not depend on the row. */
export interface LossSettings {
  /** f32 [S], the scheduled numbers; left out where there are none. */
  readonly scalars?: GraphTensor;
  /** The losses' own parameters. */
  readonly owned: readonly GraphTensor[];
}

/** Declares the inputs of C rows; `suffix` ends their names. Columns are declared with `columns` only. */
export function declareLossRows(
  g: GraphBuilder,
  { losses, requirement, vocabulary }: LossRowsOptions,
  declared: {
    readonly logits: GraphTensor;
    readonly layers: readonly GraphTensor[];
    readonly suffix: string;
    readonly size: Dim;
    readonly columns: boolean;
  },
): LossRows {
  const { logits, layers, suffix, size } = declared;
  const input = (name: string, dtype: "f32" | "i64", width?: number): GraphTensor =>
    g.input(`${name}${suffix}`, dtype, width === undefined ? [size] : [size, width]);
  const signal = signalInputs(requirement, vocabulary).map(({ name, dtype, width }) =>
    input(name, dtype, width),
  );
  const places = losses.keepsSequences ? [input("sequence", "f32"), input("index", "f32")] : [];
  const targets = input("targets", "i64");
  const count = declared.columns ? losses.columnCount : 0;
  const columns = Array.from({ length: count }, (_, at) => input(columnName(at), "f32"));
  return { logits, layers, places, targets, signal, columns };
}

/** The scheduled numbers as the input `scalars` [S], if there are any. */
export function declareScalars(
  g: GraphBuilder,
  losses: LossSet,
): { readonly scalars?: GraphTensor } {
  const count = losses.scalarsAt(0).length;
  return count === 0 ? {} : { scalars: g.input("scalars", "f32", [count]) };
}

export interface LossRowResults {
  /** f32 [C], unweighted, of each loss. */
  readonly perToken: readonly GraphTensor[];
  /** f32 [L]: Σ coefficient·perToken of each loss. */
  readonly sums: GraphTensor;
  /** f32 [M]: the same of each of `LossSet.measures`; left out where there are none. */
  readonly measures?: GraphTensor;
  /** The gradient of Σ weight·sum by the logits, f32 [C,V]. */
  readonly byLogits: GraphTensor;
  /** By `LossRows.layers`, f32 [C,D] each. */
  readonly byLayers: readonly GraphTensor[];
  /** By the losses' own parameters. */
  readonly byOwned: readonly GraphTensor[];
}

export interface SeededRows extends LossSettings {
  readonly rows: LossRows;
  /** f32 [C]. */
  readonly coefficients: GraphTensor;
  /** f32 [L]. */
  readonly weights: GraphTensor;
}

/** The losses of C rows and their gradient by the logits, a few rows at a time: nothing but the logits, their gradient and, if asked for,
 * the teacher's logits is as large as [C,V], whatever the losses compute in between. */
export function lossGradients(
  g: GraphBuilder,
  options: LossRowsOptions,
  { rows, coefficients, weights, scalars, owned }: SeededRows,
): LossRowResults {
  const flat = [coefficients, ...flatten(rows)];
  const shared = [weights, ...(scalars === undefined ? [] : [scalars]), ...owned];
  const blocked = { rows: flat, shared, blockRows: blockRowsOf(options) };
  const results = inRowBlocks(g, blocked, (b, [coefficient, ...own], [weight, ...settings]) => {
    const inputs = lossInputs(b, options, { own, settings });
    const perToken = options.losses.perToken(b, inputs);
    const sumsOf = (each: readonly GraphTensor[]) =>
      each.map((values) => b.reduceSum(b.mul(values, coefficient!), { keepDims: true }));
    const total = b.concat(sumsOf(perToken), 0);
    const found = sumsOf(options.losses.measures(b, inputs));
    const measures = found.length === 0 ? [] : [b.concat(found, 0)];
    const states = [inputs.logits, ...(inputs.studentLayers?.values() ?? [])];
    const wrt = [...states, ...inputs.parameters];
    const all = gradients(b, { outputs: [total], seeds: [weight!], wrt });
    const byStates = all.slice(0, states.length);
    return {
      rows: [...byStates, ...perToken],
      sums: [total, ...all.slice(states.length), ...measures],
    };
  });
  const [byLogits, ...rest] = results.rows;
  const [sums, ...others] = results.sums;
  const measures = others[owned.length];
  const count = rows.layers.length;
  return {
    byLogits: byLogits!,
    byLayers: rest.slice(0, count),
    perToken: rest.slice(count),
    sums: sums!,
    ...(measures !== undefined && { measures }),
    byOwned: others.slice(0, owned.length),
  };
}

/** How many rows the losses see at a time, 1 for all: losses that relate positions to each other see them all. */
export function blockRowsOf({
  losses,
  vocabulary,
  blockRows,
}: Omit<LossRowsOptions, "requirement">): number {
  if (losses.keepsSequences) return 1;
  return blockRows ?? lossBlockRows(vocabulary, { dense: losses.asksAllLogits });
}

/** The losses' probes at C rows, f32 [C] each. */
export function lossProbes(
  g: GraphBuilder,
  options: LossRowsOptions,
  { rows, scalars, owned }: LossSettings & { readonly rows: LossRows },
): readonly GraphTensor[] {
  const shared = [...(scalars === undefined ? [] : [scalars]), ...owned];
  const blocked = { rows: flatten(rows), shared, blockRows: blockRowsOf(options) };
  return inRowBlocks(g, blocked, (b, own, settings) => ({
    rows: options.losses.probes(b, lossInputs(b, options, { own, settings })),
    sums: [],
  })).rows;
}

function flatten(rows: LossRows): readonly GraphTensor[] {
  const { logits, layers, places, targets, signal, columns } = rows;
  return [logits, targets, ...layers, ...places, ...signal, ...columns];
}

/** What `flatten` made flat, and the settings, under the names by which losses know them. */
function lossInputs(
  b: GraphBuilder,
  { losses, requirement, vocabulary }: LossRowsOptions,
  {
    own,
    settings,
  }: { readonly own: readonly GraphTensor[]; readonly settings: readonly GraphTensor[] },
): LossSetInputs<GraphTensor> {
  const names = signalInputs(requirement, vocabulary).map(({ name }) => name);
  const [logits, targets, ...others] = own;
  const layers = losses.studentLayers.map((layer, at) => [layer, others[at]!] as const);
  const placed = losses.keepsSequences ? 2 : 0;
  const [sequence, index] = others.slice(layers.length);
  const rest = others.slice(layers.length + placed);
  const scalarCount = losses.scalarsAt(0).length;
  const [numbers] = settings;
  return {
    logits: logits!,
    targets: targets!,
    studentLayers: new Map(layers),
    ...(placed > 0 && { places: { sequence: sequence!, index: index! } }),
    ...teacherTensors(new Map(names.map((name, at) => [name, rest[at]!])), requirement),
    columns: rest.slice(names.length),
    scalars: Array.from({ length: scalarCount }, (_, at) =>
      b.reshape(b.slice(numbers!, 0, at, at + 1), []),
    ),
    parameters: settings.slice(scalarCount === 0 ? 0 : 1),
  };
}
