import type { TeacherSignal } from "@tandem/shared/wire/teacher-signal.js";
import type { RunSizes } from "../losses/model-sizes.js";

/** n positions, V ids, D the width of a layer. What has a row for each position has it in one order. */
export interface LossEvaluation {
  /** Name in the registry (`listLosses`). */
  readonly loss: string;
  /** The loss's own options, as in a configuration; left out: its defaults. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Raw logits [n,V], row by row, finite. Doubles keep their digits on the reference engine only. */
  readonly studentLogits: Float32Array | Float64Array;
  /** V. */
  readonly vocabulary: number;
  /** [n]: the token at each position. */
  readonly targets: Uint32Array;
  /** The responses that the positions are, one behind the other. Default: one of all positions. */
  readonly sequences?: readonly LossSequence[];
  /** What the loss asks the teacher for (`lossRequirement`), n rows, those of several sequences one behind the other; `from` does not matter.
   * Losses on text alone need none. */
  readonly signal?: TeacherSignal;
  /** The same of teachers that `options.teacher` or `options.teachers` names. */
  readonly signals?: Readonly<Record<string, TeacherSignal>>;
  /** Ids at which the signals' `atLogits` hold the teacher's logits, ragged by `atOffsets`: the student's own best, best first. */
  readonly atIds?: Uint32Array;
  /** Of the models, for losses on hidden states, which have widths. */
  readonly sizes?: Omit<RunSizes, "vocabulary">;
  /** The student's hidden states by layer, [n,D] each, for losses that compare them. */
  readonly studentLayers?: Readonly<Record<number, Float32Array | Float64Array>>;
  /** [n]: log q of each token when it was written, for losses that ask for it. */
  readonly oldLogProbs?: Float32Array;
  /** [n]: 1 where the token was sampled from the student, 0 where it is another's. Default: 1 everywhere. */
  readonly byStudent?: ArrayLike<number>;
  /** [n]: mask or weight ≥ 0 of each position. Default: 1. */
  readonly weights?: ArrayLike<number>;
  /** What the loss owns (CTKD's temperature), by name, row by row. Default: its initial values. */
  readonly parameters?: Readonly<Record<string, ArrayLike<number>>>;
  /** The done fraction of a run, 0 … 1, for schedules. Default: 0. */
  readonly progress?: number;
  /** `onnx`: as in training, float32. `reference`: float64, for a few rows. Default: `onnx`. */
  readonly engine?: "onnx" | "reference";
}

/** One response. */
export interface LossSequence {
  /** Its number of positions, ≥ 1. */
  readonly length: number;
  /** Row of the data set: responses with the same one answer the same prompt. Default: the sequence's index, so that all prompts differ. */
  readonly row?: number;
}

export interface LossValue {
  /** Weighted mean over positions; 0 when no position counts. */
  readonly value: number;
  /** [n], unweighted; in nats for most losses. */
  readonly perToken: Float64Array;
  /** [n,V]: the gradient of `value` by the student's logits. */
  readonly gradient: Float64Array;
  /** The gradient of `value` by each of the student's hidden states, by layer, [n,D]. */
  readonly layerGradients: Readonly<Record<number, Float64Array>>;
  /** The gradient of `value` by each of the loss's own parameters. */
  readonly parameterGradients: Readonly<Record<string, Float64Array>>;
}
