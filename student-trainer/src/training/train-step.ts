import { invariant } from "@tandem/shared/errors/invariant.js";
import {
  modelParameters,
  type NamedValues,
  type StudentModel,
} from "../checkpoint/student-model.js";
import { initialValues } from "../losses/initial-values.js";
import type { LossSet } from "../losses/loss-set.js";
import type { SeenPositions } from "../losses/loss-set-inputs.js";
import type { SignalRequirement } from "../losses/signal-requirement.js";
import { reductionCoefficients, type Reduction } from "../losses/reduction.js";
import { AdamW } from "../optim/adamw.js";
import { clipFactor, globalNorm } from "../optim/gradient-norm.js";
import { learningRateAt } from "../optim/learning-rate.js";
import type { OptimizerConfig } from "../optim/optimizer-config.js";
import type { Rollout } from "../rollout/rollout.js";
import { GradientEngine, type LossNumbers } from "./gradient-engine.js";
import { minibatchColumns, seenPositions, type KnownRollout } from "./minibatch-columns.js";
import { portions } from "./minibatches.js";
import { blockRowsOf } from "./loss-rows.js";
import { packMicrobatch, type PackedMicrobatch, type WeightedRollout } from "./pack-microbatch.js";
import { PlainTextTerm, type PlainTextLearning } from "./plain-text-term.js";
import { signalInputs, type SignalInput } from "./signal-inputs.js";
import type { OptimizerState, StepResult, StepRunner } from "./step-runner.js";

export interface TrainStepOptions {
  readonly model: StudentModel;
  /** V: the real vocabulary, to which the head is cut. */
  readonly vocabulary: number;
  readonly losses: LossSet;
  readonly optimizer: OptimizerConfig;
  readonly reduction: Reduction;
  /** Sequences computed at once; null: all of the minibatch. */
  readonly microBatchSize: number | null;
  /** Length of the run, for schedules. */
  readonly totalSteps: number;
  readonly threads: number;
  /** How the plain text of each step is learnt; left out: there is none. */
  readonly plainText?: PlainTextLearning | undefined;
}

/** A minibatch whose gradients are summed. */
interface Accumulated {
  /** Of each loss, unweighted. */
  readonly sums: readonly number[];
  /** Of each of `LossSet.measures`. */
  readonly measures: readonly number[];
  /** Positions that carried loss. */
  readonly tokens: number;
  readonly seen: SeenPositions;
}

/** T is a multiple of this, so that padding is small and sizes repeat. */
const POSITION_MULTIPLE = 16;
/** Rows of logits at once for large vocabularies; tried: 512 is fastest at V = 49,152. */
const LARGE_VOCABULARY_CHUNK_ROWS = 512;
/** Below this many logits a chunk is cheap to hold and more chunks only cost calls. */
const CHUNK_LOGITS = LARGE_VOCABULARY_CHUNK_ROWS * 49_152;

/** One optimizer step on a minibatch: gradients of its microbatches summed, clipped, applied. Owns the optimizer's state; updates the
 * model's weights in place. */
export class TrainStep implements StepRunner {
  readonly #optimizer: AdamW;
  /** What the losses own, trained in place. */
  readonly #lossParameters: readonly NamedValues[];
  readonly #options: TrainStepOptions;
  readonly #engine: GradientEngine;
  readonly #signalInputs: readonly SignalInput[];
  readonly #plainText: PlainTextTerm | undefined;

  constructor(options: TrainStepOptions) {
    const { model, vocabulary, losses, threads } = options;
    const requirement = requirementAt(losses, vocabulary, 0);
    this.#options = options;
    const initial = initialValues(losses.parameters);
    this.#lossParameters = losses.parameters.map(({ name, shape }, at) => ({
      name,
      shape,
      values: initial[at]!,
    }));
    this.#engine = new GradientEngine({
      model,
      vocabulary,
      losses,
      requirement,
      lossParameters: this.#lossParameters,
      threads,
    });
    this.#signalInputs = signalInputs(requirement, vocabulary);
    this.#plainText =
      options.plainText &&
      new PlainTextTerm({
        ...options.plainText,
        model,
        vocabulary,
        threads,
        microBatchSize: options.microBatchSize,
        chunkRows: chunkRows(vocabulary),
        positionMultiple: POSITION_MULTIPLE,
      });
    const owned = this.#lossParameters.map((parameter) => ({ ...parameter, decay: false }));
    this.#optimizer = new AdamW([...modelParameters(model), ...owned], options.optimizer);
  }

  async run(
    minibatch: readonly Rollout[],
    step: number,
    plainTexts: readonly Rollout[] = [],
  ): Promise<StepResult> {
    const { losses, optimizer, totalSteps } = this.#options;
    const learningRate = learningRateAt(optimizer, step, totalSteps);
    const progress = step / totalSteps;
    const weights = losses.weightsAt(progress);
    const { sums, measures, tokens, seen } = await this.#accumulate(minibatch, {
      weights,
      scalars: losses.scalarsAt(progress),
      progress,
    });
    const { gradients } = this.#engine;
    const plain =
      tokens === 0
        ? undefined
        : await this.#plainText?.addTo(gradients, { texts: plainTexts, progress });
    const gradNorm = tokens === 0 ? 0 : globalNorm(gradients.values());
    if (tokens > 0 && Number.isFinite(gradNorm)) {
      this.#optimizer.step({
        gradients,
        learningRate,
        gradientScale: clipFactor(gradNorm, optimizer.clipNorm),
      });
      const parameters = this.#lossParameters.map(({ values }) => values);
      losses.observe(sums, { seen, progress, parameters });
    }
    const own = sums.reduce((total, value, index) => total + value * weights[index]!, 0);
    return {
      loss: own + (plain?.loss ?? 0),
      losses: {
        ...Object.fromEntries(losses.names.map((name, index) => [name, sums[index]!])),
        ...plain?.parts,
      },
      measures: Object.fromEntries(losses.measureNames.map((name, at) => [name, measures[at]!])),
      gradNorm,
      learningRate,
      tokens,
    };
  }

  async readWeights(): Promise<ReadonlyMap<string, Float32Array>> {
    return this.#options.model.weights;
  }

  async readOptimizer(): Promise<OptimizerState> {
    return {
      updates: this.#optimizer.steps,
      moments: this.#optimizer.moments,
      lossParameters: this.#lossParameters,
    };
  }

  async restoreOptimizer(state: OptimizerState): Promise<void> {
    this.#optimizer.restore(state.updates, state.moments);
    for (const { name, values } of this.#lossParameters) {
      const saved = state.lossParameters.find((parameter) => parameter.name === name);
      invariant(saved !== undefined, `there is a value of ${name}`);
      values.set(saved.values);
    }
  }

  async close(): Promise<void> {
    await this.#engine.close();
    await this.#plainText?.close();
  }

  /** Longest first, so that the sequences of a microbatch are padded little; the coefficients are those of the whole minibatch. */
  async #accumulate(
    minibatch: readonly Rollout[],
    numbers: LossNumbers & { readonly progress: number },
  ): Promise<Accumulated> {
    const { reduction, microBatchSize, losses } = this.#options;
    const sums = losses.names.map(() => 0);
    const measures = losses.measureNames.map(() => 0);
    const kept = minibatch.filter(({ response }) => response.length > 0);
    const coefficients = reductionCoefficients(
      kept.map(({ response }) => new Uint8Array(response.length).fill(1)),
      reduction,
    );
    const known = kept
      .map((rollout, index) => ({ rollout, coefficients: coefficients[index]! }))
      .sort((a, b) => lengthOf(b.rollout) - lengthOf(a.rollout));
    const probed = await this.#probe(known, numbers.scalars);
    const { progress } = numbers;
    const parameters = this.#lossParameters.map(({ values }) => values);
    const seen = seenPositions(losses, probed);
    const columns = minibatchColumns(losses, probed, { seen, progress, parameters });
    const weighted = known.map((own, index) => ({ ...own, columns: columns[index]! }));
    let tokens = 0;
    for (const [index, sequences] of portions(weighted, microBatchSize ?? kept.length).entries()) {
      const packed = this.#pack(sequences);
      const own = await this.#engine.accumulate(packed, numbers, index === 0);
      own.losses.forEach((value, loss) => (sums[loss]! += value));
      own.measures.forEach((value, at) => (measures[at]! += value));
      tokens += packed.lossPositions;
    }
    return { sums, measures, tokens, seen };
  }

  /** Adds the losses' probes, if there are any. Every position weighs something. */
  async #probe(
    known: readonly WeightedRollout[],
    scalars: readonly number[],
  ): Promise<readonly KnownRollout[]> {
    const { microBatchSize, losses } = this.#options;
    if (losses.probeCount === 0) return known;
    const probed: KnownRollout[] = [];
    for (const sequences of portions(known, microBatchSize ?? known.length)) {
      const probes = await this.#engine.probe(this.#pack(sequences), scalars);
      let next = 0;
      for (const own of sequences) {
        const end = next + own.rollout.response.length;
        probed.push({ ...own, probes: probes.map((values) => values.subarray(next, end)) });
        next = end;
      }
    }
    return probed;
  }

  #pack(sequences: readonly WeightedRollout[]): PackedMicrobatch {
    const { losses, vocabulary, model } = this.#options;
    return packMicrobatch(sequences, {
      vocabulary,
      signalInputs: this.#signalInputs,
      positionMultiple: POSITION_MULTIPLE,
      contextLength: model.config.contextLength,
      chunkRows: losses.keepsSequences ? LARGE_VOCABULARY_CHUNK_ROWS : chunkRows(vocabulary),
      blockRows: blockRowsOf({ losses, vocabulary }),
      keepSequences: losses.keepsSequences,
    });
  }
}

/** What rollouts must bring for the losses, at a point of the run.
 * @throws TandemError INVALID_ARGUMENT when a loss asks for a list of more ids than the vocabulary has. */
export function requirementAt(
  losses: LossSet,
  vocabulary: number,
  progress: number,
): SignalRequirement {
  losses.assertFits(vocabulary);
  return losses.requirement(progress);
}

function lengthOf({ prompt, response }: Rollout): number {
  return prompt.length + response.length;
}

function chunkRows(vocabulary: number): number {
  return Math.max(LARGE_VOCABULARY_CHUNK_ROWS, Math.floor(CHUNK_LOGITS / vocabulary));
}
