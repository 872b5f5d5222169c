import type { SignalRequirement } from "../losses/signal-requirement.js";
import type { RolloutBatch } from "../rollout/rollout.js";
import type { RolloutSource } from "./rollout-source.js";

export interface RolloutFeedOptions {
  readonly source: RolloutSource;
  /** Makes the current weights those of the next rollouts. */
  readonly publishWeights: () => Promise<void>;
  /** s: how many batches are written ahead. */
  readonly staleness: number;
  readonly abort: AbortSignal;
}

/** Batches in order, s of them written ahead of the one that trains, always with the weights published at a fixed point of the run:
 * timing decides how long one waits, never what comes. Weights are published only while no batch is being written. */
export class RolloutFeed {
  readonly #options: RolloutFeedOptions;
  readonly #ahead: Promise<RolloutBatch>[] = [];

  constructor(options: RolloutFeedOptions, restored: readonly RolloutBatch[]) {
    this.#options = options;
    this.#ahead.push(...restored.map((batch) => Promise.resolve(batch)));
  }

  /** The next batch. Those that are missing behind it are asked for, with the weights as they are now. */
  async take(request: SignalRequirement & { readonly progress: number }): Promise<RolloutBatch> {
    const { source, publishWeights, staleness } = this.#options;
    // A batch written ahead belongs into the checkpoint, with the weights it was begun with: it is finished even if the run is aborted.
    const abort = staleness === 0 ? this.#options.abort : new AbortController().signal;
    await this.settle();
    await publishWeights();
    let previous: Promise<unknown> = Promise.resolve();
    while (this.#ahead.length < staleness + 1) {
      const next = previous.then(() => source.next({ ...request, abort }));
      // The rejection is seen by whoever takes the batch; until then it must not count as unhandled.
      next.catch(() => undefined);
      this.#ahead.push(next);
      previous = next;
    }
    // One that failed is not kept: it would be the failure of the next call too.
    const [batch] = this.#ahead.splice(0, 1);
    return batch!;
  }

  /** Waits for what is being written. @returns the batches written ahead, up to the first that failed. */
  async settle(): Promise<readonly RolloutBatch[]> {
    const settled = await Promise.allSettled(this.#ahead);
    const failed = settled.findIndex(({ status }) => status === "rejected");
    const finished = failed < 0 ? settled : settled.slice(0, failed);
    return finished.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  }
}
