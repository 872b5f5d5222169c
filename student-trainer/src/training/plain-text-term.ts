import type { StudentModel } from "../checkpoint/student-model.js";
import { permute } from "../data/permute.js";
import { LossSet, lossesSchema } from "../losses/loss-set.js";
import { reductionCoefficients } from "../losses/reduction.js";
import { scheduleAt, type Schedule } from "../losses/schedule.js";
import { AUTHOR, NO_STATS, type Rollout } from "../rollout/rollout.js";
import { GradientEngine } from "./gradient-engine.js";
import { blockRowsOf } from "./loss-rows.js";
import { portions } from "./minibatches.js";
import { packMicrobatch } from "./pack-microbatch.js";

/** A second stream of text beside the rollouts, as plain data. */
export interface PlainText {
  /** Two tokens or more each. */
  readonly pieces: readonly Uint32Array[];
  /** Pieces in a step. */
  readonly rows: number;
  readonly weight: Schedule;
  /** Of the order of pieces. */
  readonly seed: number;
}

export interface PlainTextTermOptions extends PlainText {
  readonly model: StudentModel;
  /** V. */
  readonly vocabulary: number;
  readonly microBatchSize: number | null;
  readonly chunkRows: number;
  readonly positionMultiple: number;
  readonly threads: number;
}

/** "PLAI": keeps the order of pieces apart from that of prompts. */
const ORDER_TAG = 0x504c4149;

/** Cross-entropy on plain text, which keeps a student that is distilled on a narrow task a language model. Its pieces have no teacher and meet no
 * other loss: they are computed by an engine of their own, whose gradients are added to those of the rollouts.
 * Source: MiniLLM (arXiv 2306.08543), L_PT; DistiLLM's language-model term. */
export class PlainTextTerm {
  readonly #options: PlainTextTermOptions;
  readonly #losses = new LossSet(lossesSchema.parse([{ name: "cross-entropy" }]));
  readonly #engine: GradientEngine;
  #epoch = -1;
  #order: Uint32Array = new Uint32Array(0);

  constructor(options: PlainTextTermOptions) {
    this.#options = options;
    const { model, vocabulary, threads } = options;
    this.#engine = new GradientEngine({
      model,
      vocabulary,
      losses: this.#losses,
      requirement: this.#losses.requirement(0),
      threads,
    });
  }

  /** Adds weight·gradient of a step's mean cross-entropy to `gradients`, by name. */
  async addTo(
    gradients: ReadonlyMap<string, Float32Array>,
    { step, progress }: { readonly step: number; readonly progress: number },
  ): Promise<{ readonly value: number; readonly weight: number }> {
    const weight = scheduleAt(this.#options.weight, progress);
    let value = 0;
    const rollouts = this.#take(step).map(toRollout);
    const coefficients = reductionCoefficients(
      rollouts.map(({ response }) => new Uint8Array(response.length).fill(1)),
      "token",
    );
    const weighted = rollouts.map((rollout, at) => ({ rollout, coefficients: coefficients[at]! }));
    const size = this.#options.microBatchSize ?? weighted.length;
    for (const [index, sequences] of portions(weighted, size).entries()) {
      const packed = packMicrobatch(sequences, this.#packing());
      const numbers = { weights: [weight], scalars: [] };
      const [own] = await this.#engine.accumulate(packed, numbers, index === 0);
      value += own!;
    }
    for (const [name, own] of this.#engine.gradients) addInto(gradients.get(name)!, own);
    return { value, weight };
  }

  async close(): Promise<void> {
    await this.#engine.close();
  }

  /** The pieces of a step, whatever came before it: every piece once in each pass over all. */
  #take(step: number): readonly Uint32Array[] {
    const { pieces, rows, seed } = this.#options;
    return Array.from({ length: rows }, (_, at) => {
      const place = step * rows + at;
      const epoch = Math.floor(place / pieces.length);
      if (epoch !== this.#epoch) {
        this.#epoch = epoch;
        this.#order = permute(pieces.length, (seed ^ ORDER_TAG) >>> 0, epoch);
      }
      return pieces[this.#order[place % pieces.length]!]!;
    });
  }

  #packing() {
    const { vocabulary, model, chunkRows, positionMultiple } = this.#options;
    return {
      vocabulary,
      signalInputs: [],
      positionMultiple,
      contextLength: model.config.contextLength,
      chunkRows,
      blockRows: blockRowsOf({ losses: this.#losses, vocabulary }),
    };
  }
}

/** The first token is context, all others are learnt. */
function toRollout(piece: Uint32Array, row: number): Rollout {
  const response = piece.slice(1);
  return {
    row,
    sample: 0,
    epoch: 0,
    prompt: piece.slice(0, 1),
    response,
    authors: new Uint8Array(response.length).fill(AUTHOR.data),
    finish: "length",
    stats: NO_STATS,
  };
}

function addInto(sum: Float32Array, own: Float32Array): void {
  for (let at = 0; at < sum.length; at++) sum[at] = sum[at]! + own[at]!;
}
