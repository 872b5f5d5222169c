import { appendFile } from "node:fs/promises";

import type { JsonValue, RolloutSource } from "../training/rollout-source.js";
import { cutSamples } from "./run-directory.js";
import { toSampleRecord, type PieceReader } from "./sample-record.js";

export interface RecordSamplesOptions {
  /** `rollouts.jsonl`. */
  readonly path: string;
  /** Sequences per batch. */
  readonly samples: number;
  /** Optimizer steps that one batch is good for. */
  readonly stepsPerRound: number;
  readonly text: PieceReader;
}

/** A source that also writes the first sequences of every batch down for people. */
export function recordSamples(source: RolloutSource, options: RecordSamplesOptions): RolloutSource {
  const { path, samples, stepsPerRound, text } = options;
  let cut: Promise<void> | undefined;
  return {
    async next(request) {
      cut ??= cutSamples(path, 0);
      await cut;
      const batch = await source.next(request);
      const place = { step: batch.index * stepsPerRound, batch: batch.index };
      const lines = batch.rollouts
        .slice(0, samples)
        .map((rollout) => `${JSON.stringify(toSampleRecord(rollout, place, text))}\n`);
      await appendFile(path, lines.join(""));
      return batch;
    },
    state: () => source.state(),
    restore(state: JsonValue) {
      source.restore(state);
      const { batches } = state as { readonly batches?: JsonValue };
      cut = cutSamples(path, typeof batches === "number" ? batches : 0);
    },
  };
}
