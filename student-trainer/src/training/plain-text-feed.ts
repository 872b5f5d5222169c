import { permute } from "../data/permute.js";
import { AUTHOR, NO_STATS, type Rollout } from "../rollout/rollout.js";

/** Adds what a teacher says of the texts. */
export type ScoreTexts = (
  texts: readonly Rollout[],
  abort: AbortSignal,
) => Promise<readonly Rollout[]>;

export interface PlainTextFeedOptions {
  /** Two tokens or more each. */
  readonly pieces: readonly Uint32Array[];
  /** Pieces in a step. */
  readonly rows: number;
  /** Of the order of pieces. */
  readonly seed: number;
  /** Left out: no teacher is asked. */
  readonly score?: ScoreTexts | undefined;
}

/** "PLAI": keeps the order of pieces apart from that of prompts. */
const ORDER_TAG = 0x504c4149;

/** The pieces of each step, a function of its number alone: every piece once before any comes twice. Where a teacher is asked, it is asked about the
 * next step's while the step is computed. */
export class PlainTextFeed {
  readonly #options: PlainTextFeedOptions;
  readonly #totalSteps: number;
  #epoch = -1;
  #order: Uint32Array = new Uint32Array(0);
  #next: { readonly step: number; readonly texts: Promise<readonly Rollout[]> } | undefined;

  constructor(options: PlainTextFeedOptions, totalSteps: number) {
    this.#options = options;
    this.#totalSteps = totalSteps;
  }

  async take(step: number, abort: AbortSignal): Promise<readonly Rollout[]> {
    const texts = this.#next?.step === step ? this.#next.texts : this.#scored(step, abort);
    // One that failed is not kept: it would be the failure of the next call too.
    this.#next = undefined;
    const taken = await texts;
    const after = step + 1;
    if (this.#options.score !== undefined && after < this.#totalSteps) {
      const ahead = this.#scored(after, abort);
      // The rejection is seen by whoever takes the step.
      ahead.catch(() => undefined);
      this.#next = { step: after, texts: ahead };
    }
    return taken;
  }

  async #scored(step: number, abort: AbortSignal): Promise<readonly Rollout[]> {
    const texts = this.#pieces(step).map(toRollout);
    const { score } = this.#options;
    return score === undefined ? texts : score(texts, abort);
  }

  #pieces(step: number): readonly Uint32Array[] {
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
