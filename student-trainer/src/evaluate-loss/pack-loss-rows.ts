import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { f32Tensor, type HostTensor } from "@tandem/shared/runtime/host-tensor.js";
import { initialValues } from "../losses/initial-values.js";
import type { LossSet } from "../losses/loss-set.js";
import type { SignalRequirement } from "../losses/signal-requirement.js";
import { assertNumbers, FINITE } from "./assert-numbers.js";
import { assertPaired } from "./assert-paired.js";
import { cutSequences } from "./cut-sequences.js";
import { minibatchColumns, seenPositions } from "../training/minibatch-columns.js";
import { packMicrobatch } from "../training/pack-microbatch.js";
import { blockRowsOf } from "../training/loss-rows.js";
import { signalInputs } from "../training/signal-inputs.js";
import type { LossEvaluation } from "./loss-evaluation.js";

export interface PackLossRowsOptions {
  readonly evaluation: LossEvaluation;
  readonly losses: LossSet;
  readonly requirement: SignalRequirement;
  readonly coefficients: Float64Array;
  readonly progress: number;
  /** The loss's probe of each position; left out: it has none, or they are not known yet. */
  readonly probe?: Float64Array;
}

/** A parameter's name within its loss. */
export function parameterKey(name: string): string {
  return name.replace(/^losses\.\d+\./, "");
}

function packParameters({ evaluation, losses }: PackLossRowsOptions): Record<string, HostTensor> {
  const given = evaluation.parameters ?? {};
  const known = losses.parameters.map(({ name }) => parameterKey(name));
  const unknown = Object.keys(given).filter((key) => !known.includes(key));
  const initial = initialValues(losses.parameters);
  const feeds = losses.parameters.map(({ name, shape }, at) => {
    const values = given[parameterKey(name)] ?? initial[at]!;
    if (values.length !== initial[at]!.length)
      unknown.push(`${parameterKey(name)} of ${values.length}`);
    assertNumbers(values, { field: `parameters.${parameterKey(name)}`, range: FINITE });
    return [name, f32Tensor(Float32Array.from(values), shape)] as const;
  });
  if (unknown.length > 0) {
    const owned = losses.parameters.map(
      ({ name }, at) => `${parameterKey(name)} of ${initial[at]!.length}`,
    );
    throw new TandemError(
      "INVALID_ARGUMENT",
      `parameters holds ${unknown.join(", ")}; ${evaluation.loss} owns ${owned.join(", ") || "none"}`,
      { field: "parameters" },
    );
  }
  return Object.fromEntries(feeds);
}

/** Everything but the logits, packed as in training: the sequences are one minibatch. */
export function packLossRows(options: PackLossRowsOptions): Readonly<Record<string, HostTensor>> {
  const { evaluation, losses, requirement, coefficients, progress, probe } = options;
  const { targets, vocabulary } = evaluation;
  const rows = targets.length;
  const parameters = packParameters(options);
  const known = cutSequences(evaluation).map(({ rollout, start, end }) => ({
    rollout,
    coefficients: coefficients.subarray(start, end),
    ...(probe && { probes: [probe.subarray(start, end)] }),
  }));
  const seen = seenPositions(losses, known);
  assertPaired(losses, seen, evaluation.loss);
  const columns = minibatchColumns(losses, known, {
    seen,
    progress,
    parameters: losses.parameters.map(({ name }) => parameters[name]!.data as Float32Array),
  });
  // Every position is computed, also those that weigh nothing.
  const everywhere = new Float64Array(rows).fill(1);
  const weighted = known.map(({ rollout }, sequence) => ({
    rollout,
    coefficients: everywhere,
    columns: columns[sequence]!,
  }));
  const { feeds } = packMicrobatch(weighted, {
    vocabulary,
    signalInputs: signalInputs(requirement, vocabulary),
    positionMultiple: 1,
    chunkRows: rows,
    blockRows: blockRowsOf({ losses, vocabulary }),
    keepSequences: losses.keepsSequences,
  });
  const own = Object.entries(feeds).flatMap(([name, tensor]) =>
    name.endsWith(".0") ? [[name.slice(0, -2), tensor] as const] : [],
  );
  const padded = new Float32Array(feeds["coefficients.0"]!.shape[0]!);
  padded.set(coefficients);
  const scalars = losses.scalarsAt(progress);
  return {
    ...Object.fromEntries(own),
    ...parameters,
    coefficients: f32Tensor(padded, [padded.length]),
    ...(scalars.length > 0 && { scalars: f32Tensor(Float32Array.from(scalars), [scalars.length]) }),
  };
}
