import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import {
  removeUnfinished,
  saveCheckpoint,
  type CheckpointContent,
} from "../checkpoint/save-checkpoint.js";
import type { SignalRequirement } from "../losses/signal-requirement.js";
import type { Rollout, RolloutBatch } from "../rollout/rollout.js";
import { portions, shuffledOrder } from "./minibatches.js";
import { createStepRunner } from "./create-step-runner.js";
import { ModelMirror } from "./model-mirror.js";
import { assertFresh, restoreRun } from "./restore-run.js";
import { RolloutFeed } from "./rollout-feed.js";
import { readRunLog, RunLog, type EvaluationRecord } from "./run-log.js";
import { summarizeRun } from "./summary.js";
import { toStepRecord, type Minibatch } from "./step-record.js";
import { PlainTextFeed } from "./plain-text-feed.js";
import type { StepRunner } from "./step-runner.js";
import { requirementAt } from "./train-step.js";
import type { TrainerOptions, TrainingResult } from "./trainer-options.js";
import { totalSteps } from "./training-config.js";

/** Trains to the end of the run, or until it is aborted. Order: publish weights → roll out → for each pass and minibatch: schedule →
 * accumulate → clip → update → log → evaluate → checkpoint.
 * @throws TandemError FAILED_PRECONDITION when the loss is no longer finite or a checkpoint belongs to another configuration,
 * RESOURCE_EXHAUSTED when the disk is full; what the source and the callbacks throw. */
export async function runTraining(options: TrainerOptions): Promise<TrainingResult> {
  const trainer = await Trainer.open(options);
  try {
    return await trainer.run();
  } finally {
    await trainer.close();
  }
}

/** Where the run stands. `batch` is in use while steps are left in it. */
interface Cursor {
  step: number;
  round: number;
  stepInRound: number;
  batch: RolloutBatch | undefined;
}

/** What a step learns from. */
interface Taken extends TakenBatch {
  readonly plainTexts: readonly Rollout[];
}

interface TakenBatch {
  readonly batch: RolloutBatch;
  /** Spent waiting for it. */
  readonly seconds: number;
}

class Trainer {
  readonly #options: TrainerOptions;
  /** Until the run goes on from it. */
  #saved: CheckpointContent | undefined;
  readonly #runner: StepRunner;
  readonly #mirror: ModelMirror;
  readonly #feed: RolloutFeed;
  readonly #plainText: PlainTextFeed | undefined;
  readonly #log: RunLog;
  readonly #totalSteps: number;
  readonly #abort: AbortSignal;
  readonly #cursor: Cursor;
  #checkpoint = "";
  #checkpointStep = -1;

  private constructor(options: TrainerOptions, saved: CheckpointContent | undefined, log: RunLog) {
    const { model, source, training, publishWeights } = options;
    const { step = 0, round = 0, stepInRound = 0 } = saved?.state ?? {};
    const batches = saved?.batches ?? [];
    // A batch of which no step was made is taken again, like those behind it.
    const [inUse, ahead] = stepInRound > 0 ? [batches[0], batches.slice(1)] : [undefined, batches];
    this.#options = options;
    this.#saved = saved;
    this.#log = log;
    this.#totalSteps = totalSteps(training, options.rolloutBatchSize);
    this.#cursor = { step, round, stepInRound, batch: inUse };
    this.#abort = options.abort ?? new AbortController().signal;
    this.#runner = createStepRunner(options);
    this.#mirror = new ModelMirror(model, this.#runner);
    this.#plainText = options.plainText && new PlainTextFeed(options.plainText, this.#totalSteps);
    this.#feed = new RolloutFeed(
      {
        source,
        publishWeights: async () => publishWeights((await this.#mirror.sync()).weights),
        staleness: training.staleness,
        abort: this.#abort,
      },
      ahead,
    );
  }

  static async open(options: TrainerOptions): Promise<Trainer> {
    const { runDir, resume = false } = options;
    await mkdir(join(runDir, "checkpoints"), { recursive: true });
    await removeUnfinished(join(runDir, "checkpoints"));
    if (!resume) await assertFresh(runDir);
    const saved = resume ? await restoreRun(options) : undefined;
    const log = await RunLog.open(join(runDir, "metrics.jsonl"), saved?.state.metricsBytes ?? 0);
    return new Trainer(options, saved, log);
  }

  async run(): Promise<TrainingResult> {
    const cursor = this.#cursor;
    const begin = cursor.step;
    if (this.#saved !== undefined) {
      const { state, moments, lossParameters = [] } = this.#saved;
      const { updates } = state;
      await this.#runner.restoreOptimizer({ updates, moments, lossParameters });
      this.#saved = undefined;
    } else {
      await this.#evaluate();
      // A run killed before its first checkpoint can be resumed too.
      if (this.#options.training.checkpointEvery !== null) await this.#save();
    }
    while (this.#goesOn()) {
      const taken = await this.#takeBatch();
      if (taken === undefined) break;
      const minibatches = this.#minibatches(taken.batch);
      while (this.#goesOn() && cursor.stepInRound < minibatches.length) {
        const plainTexts = await this.#takePlainText();
        if (plainTexts === undefined) break;
        await this.#trainOn(minibatches[cursor.stepInRound]!, { ...taken, plainTexts });
        if (cursor.step === this.#totalSteps) break;
        if (this.#due(this.#options.training.evaluateEvery)) await this.#evaluate();
        if (this.#due(this.#options.training.checkpointEvery)) await this.#save();
      }
      if (cursor.stepInRound === minibatches.length) this.#closeRound();
    }
    const interrupted = cursor.step < this.#totalSteps;
    if (!interrupted && cursor.step > begin) await this.#evaluate();
    await this.#save();
    const records = await readRunLog(join(this.#options.runDir, "metrics.jsonl"));
    return { summary: summarizeRun(records), checkpoint: this.#checkpoint, interrupted };
  }

  async close(): Promise<void> {
    await this.#log.close();
    await this.#runner.close();
  }

  #goesOn(): boolean {
    return this.#cursor.step < this.#totalSteps && !this.#abort.aborted;
  }

  /** The batch in use, or the next one; undefined when the run was aborted while it was written. */
  async #takeBatch(): Promise<TakenBatch | undefined> {
    const { batch } = this.#cursor;
    if (batch !== undefined) return { batch, seconds: 0 };
    const start = this.#now();
    const progress = this.#cursor.step / this.#totalSteps;
    const request = { ...this.#requirement(progress), progress };
    const next = await this.#orSave(() => this.#feed.take(request));
    if (next === undefined) return undefined;
    this.#cursor.batch = next;
    return { batch: next, seconds: (this.#now() - start) / 1000 };
  }

  /** Of the next step, none where the run has none; undefined when the run was aborted while a teacher was asked about it. */
  async #takePlainText(): Promise<readonly Rollout[] | undefined> {
    const feed = this.#plainText;
    if (feed === undefined) return [];
    return this.#orSave(() => feed.take(this.#cursor.step, this.#abort));
  }

  /** If a source fails for good, the run is saved first, so that it can go on from here; undefined when it was aborted. */
  async #orSave<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (cause) {
      if (this.#abort.aborted) return undefined;
      await this.#save();
      throw cause;
    }
  }

  /** All passes over a batch, each in an order of its own, cut into minibatches. */
  #minibatches({ index, rollouts }: RolloutBatch): readonly Minibatch[] {
    const { numIterations, minibatchSize, seed } = this.#options.training;
    return Array.from({ length: numIterations }, (_, iteration) => {
      const order = shuffledOrder(rollouts.length, { seed, batch: index, iteration });
      return portions(order, minibatchSize).map((rows) => ({
        iteration,
        rollouts: rows.map((row) => rollouts[row]!),
      }));
    }).flat();
  }

  async #trainOn(minibatch: Minibatch, taken: Taken): Promise<void> {
    const cursor = this.#cursor;
    const firstOfBatch = cursor.stepInRound === 0;
    const start = this.#now();
    const result = await this.#runner.run(minibatch.rollouts, cursor.step, taken.plainTexts);
    this.#mirror.outdate();
    const seconds = (this.#now() - start) / 1000;
    if (!Number.isFinite(result.loss) || !Number.isFinite(result.gradNorm)) {
      throw new TandemError(
        "FAILED_PRECONDITION",
        `step ${cursor.step + 1}: the loss is ${result.loss}, the gradient norm ${result.gradNorm}; lower the learning rate or resume from a checkpoint`,
      );
    }
    cursor.step += 1;
    cursor.stepInRound += 1;
    const record = toStepRecord({
      step: cursor.step,
      round: cursor.round,
      minibatch,
      batch: taken.batch,
      result,
      seconds,
      rolloutSeconds: firstOfBatch ? taken.seconds : 0,
      teacherWaitMs: firstOfBatch ? taken.batch.teacherWaitMs : 0,
    });
    await this.#log.append(record);
    this.#options.onStep?.(record);
  }

  #closeRound(): void {
    this.#cursor.batch = undefined;
    this.#cursor.round += 1;
    this.#cursor.stepInRound = 0;
  }

  async #evaluate(): Promise<void> {
    const { evaluate, publishWeights, onEvaluation } = this.#options;
    if (evaluate === undefined) return;
    await this.#feed.settle();
    await publishWeights((await this.#mirror.sync()).weights);
    const { step } = this.#cursor;
    const measures = await evaluate(step);
    const own = this.#options.source.observe?.(measures);
    const record: EvaluationRecord = { ...measures, ...own, kind: "evaluation", step };
    await this.#log.append(record);
    onEvaluation?.(record);
  }

  /** Once per step at most. */
  async #save(): Promise<void> {
    const { source, runDir, configDigest, training, tokenizerDir } = this.#options;
    const { step, round, stepInRound, batch } = this.#cursor;
    if (this.#checkpointStep === step) return;
    const ahead = await this.#feed.settle();
    await this.#log.sync();
    const { updates, moments, lossParameters } = await this.#runner.readOptimizer();
    this.#checkpoint = await saveCheckpoint({
      dir: join(runDir, "checkpoints"),
      keep: training.keepCheckpoints,
      model: await this.#mirror.sync(),
      lossParameters,
      moments,
      batches: batch === undefined ? ahead : [batch, ...ahead],
      ...(tokenizerDir !== undefined && { tokenizerDir }),
      state: {
        version: 1,
        step,
        round,
        stepInRound,
        updates,
        configDigest,
        metricsBytes: this.#log.sizeBytes,
        source: source.state(),
      },
    });
    this.#checkpointStep = step;
  }

  #requirement(progress: number): SignalRequirement {
    const { losses, model, vocabulary = model.config.vocabSize } = this.#options;
    return requirementAt(losses, vocabulary, progress);
  }

  #due(every: number | null): boolean {
    return every !== null && this.#cursor.step % every === 0;
  }

  #now(): number {
    return this.#options.clock.nowMs();
  }
}
