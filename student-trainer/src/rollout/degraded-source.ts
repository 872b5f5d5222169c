import { TandemError } from "@tandem/shared/errors/tandem-error.js";

import type { JsonValue, RolloutRequest, RolloutSource } from "../training/rollout-source.js";
import type { RolloutConfig } from "./rollout-config.js";
import type { RolloutBatch } from "./rollout.js";

/** Batches that `cached` goes round in. */
const KEPT_BATCHES = 4;

interface KeptBatch {
  readonly batch: RolloutBatch;
  /** The signal it was asked with. */
  readonly requirement: string;
}

/** What a run does when no teacher answers for `teacher.retryTimeoutMs`. `wait`: it ends there, saved, to be resumed. `skip`: the batch is left out and the
 * next one begun. `cached`: one of the last batches is trained on again. The latter two go on for ever, and their results depend on when the teacher was away. */
export function createDegradedSource(
  source: RolloutSource,
  mode: RolloutConfig["onTeacherLoss"],
  note: (text: string) => void,
): RolloutSource {
  return mode === "wait" ? source : new DegradedSource(source, mode, note);
}

class DegradedSource implements RolloutSource {
  readonly #source: RolloutSource;
  readonly #mode: "skip" | "cached";
  readonly #note: (text: string) => void;
  readonly #kept: KeptBatch[] = [];

  constructor(source: RolloutSource, mode: "skip" | "cached", note: (text: string) => void) {
    this.#source = source;
    this.#mode = mode;
    this.#note = note;
  }

  async next(request: RolloutRequest): Promise<RolloutBatch> {
    const { progress: _progress, abort, ...asked } = request;
    const requirement = JSON.stringify(asked);
    for (;;) {
      try {
        const batch = await this.#source.next(request);
        this.#kept.push({ batch, requirement });
        if (this.#kept.length > KEPT_BATCHES) this.#kept.shift();
        return batch;
      } catch (caught) {
        const error = TandemError.from(caught);
        if (error.code !== "UNAVAILABLE" || abort.aborted) throw error;
        const again = this.#mode === "cached" ? this.#takeKept(requirement) : undefined;
        if (again !== undefined) {
          this.#note(`teacher lost: batch ${again.index} is trained on again`);
          return again;
        }
        if (this.#mode === "cached") throw error;
        this.#note("teacher lost: a batch is left out");
        this.#source.skip?.();
      }
    }
  }

  observe(
    measures: Readonly<Record<string, number | string>>,
  ): Readonly<Record<string, number>> | undefined {
    return this.#source.observe?.(measures);
  }

  state(): JsonValue {
    return this.#source.state();
  }

  restore(state: JsonValue): void {
    this.#source.restore(state);
  }

  /** The oldest that fits, which becomes the youngest. */
  #takeKept(requirement: string): RolloutBatch | undefined {
    const index = this.#kept.findIndex((kept) => kept.requirement === requirement);
    const [kept] = index < 0 ? [] : this.#kept.splice(index, 1);
    if (kept !== undefined) this.#kept.push(kept);
    return kept?.batch;
  }
}
