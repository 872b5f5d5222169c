import type { StudentModel } from "../checkpoint/student-model.js";
import { plainTextLosses, type PlainTextDistillation } from "../losses/plain-text-losses.js";
import type { LossSet } from "../losses/loss-set.js";
import { reductionCoefficients } from "../losses/reduction.js";
import { scheduleAt, type Schedule } from "../losses/schedule.js";
import type { Rollout } from "../rollout/rollout.js";
import { GradientEngine } from "./gradient-engine.js";
import { blockRowsOf } from "./loss-rows.js";
import { portions } from "./minibatches.js";
import { packMicrobatch, type PackOptions } from "./pack-microbatch.js";
import { signalInputs } from "./signal-inputs.js";

/** How a second stream of text beside the rollouts is learnt, as plain data. */
export interface PlainTextLearning {
  readonly weight: Schedule;
  /** Left out: the text alone teaches. */
  readonly distillation?: PlainTextDistillation | undefined;
}

export interface PlainTextTermOptions extends PlainTextLearning {
  readonly model: StudentModel;
  /** V. */
  readonly vocabulary: number;
  readonly microBatchSize: number | null;
  readonly chunkRows: number;
  readonly positionMultiple: number;
  readonly threads: number;
}

/** What a step's plain text was worth. */
export interface PlainTextValue {
  /** In the run's loss, weight included. */
  readonly loss: number;
  /** Its parts, unweighted, by their names in the log. */
  readonly parts: Readonly<Record<string, number>>;
}

/** (1−s)·cross-entropy + s·KL(p‖q) on plain text, which keeps a student that is distilled on a narrow task a language model. Its pieces meet no
 * other loss: they are computed by an engine of their own, whose gradients are added to those of the rollouts.
 * Source: MiniLLM (arXiv 2306.08543), L_PT, whose release has s = ½; with s = 0 DistiLLM's and DPKD's language-model term. */
export class PlainTextTerm {
  readonly #options: PlainTextTermOptions;
  readonly #losses: LossSet;
  readonly #engine: GradientEngine;
  readonly #packing: PackOptions;

  constructor(options: PlainTextTermOptions) {
    this.#options = options;
    const { model, vocabulary, threads, chunkRows, positionMultiple } = options;
    const losses = plainTextLosses(options.distillation);
    const requirement = losses.requirement(0);
    this.#losses = losses;
    this.#engine = new GradientEngine({ model, vocabulary, losses, requirement, threads });
    this.#packing = {
      vocabulary,
      signalInputs: signalInputs(requirement, vocabulary),
      positionMultiple,
      contextLength: model.config.contextLength,
      chunkRows,
      blockRows: blockRowsOf({ losses, vocabulary }),
    };
  }

  /** Adds weight·gradient of a step's mean to `gradients`, by name. The texts have their signals where a teacher has a share. */
  async addTo(
    gradients: ReadonlyMap<string, Float32Array>,
    { texts, progress }: { readonly texts: readonly Rollout[]; readonly progress: number },
  ): Promise<PlainTextValue> {
    const weights = this.#weightsAt(progress);
    const sums = weights.map(() => 0);
    const coefficients = reductionCoefficients(
      texts.map(({ response }) => new Uint8Array(response.length).fill(1)),
      "token",
    );
    const weighted = texts.map((rollout, at) => ({ rollout, coefficients: coefficients[at]! }));
    const size = this.#options.microBatchSize ?? weighted.length;
    for (const [index, sequences] of portions(weighted, size).entries()) {
      const packed = packMicrobatch(sequences, this.#packing);
      const numbers = { weights, scalars: [] };
      const own = await this.#engine.accumulate(packed, numbers, index === 0);
      own.losses.forEach((value, at) => (sums[at]! += value));
    }
    for (const [name, own] of this.#engine.gradients) addInto(gradients.get(name)!, own);
    const names = this.#losses.names.map((_, at) => (at === 0 ? "plain-text" : "plain-text-kl"));
    return {
      loss: sums.reduce((total, value, at) => total + weights[at]! * value, 0),
      parts: Object.fromEntries(names.map((name, at) => [name, sums[at]!])),
    };
  }

  async close(): Promise<void> {
    await this.#engine.close();
  }

  /** Of `plainTextLosses`. */
  #weightsAt(progress: number): readonly number[] {
    const { weight, distillation } = this.#options;
    const whole = scheduleAt(weight, progress);
    if (distillation === undefined) return [whole];
    const share = scheduleAt(distillation.share, progress);
    return [whole * (1 - share), whole * share];
  }
}

function addInto(sum: Float32Array, own: Float32Array): void {
  for (let at = 0; at < sum.length; at++) sum[at] = sum[at]! + own[at]!;
}
