import { appendFile } from "node:fs/promises";

import type { StudentEngine } from "../rollout/student-engine.js";
import { studentLaws } from "../rollout/student-laws.js";
import type { JsonValue, RolloutSource } from "../training/rollout-source.js";
import { cutSamples } from "./run-directory.js";
import { TOP, toSampleRecord, type PieceReader } from "./sample-record.js";

export interface RecordSamplesOptions {
  /** `rollouts.jsonl`. */
  readonly path: string;
  /** Sequences per batch. */
  readonly samples: number;
  /** Optimizer steps that one batch is good for. */
  readonly stepsPerRound: number;
  readonly text: PieceReader;
  /** Whose law is written down beside the teacher's; absent where it did not write. */
  readonly engine?: StudentEngine;
}

/** A source that also writes the first sequences of every batch down for people. */
export function recordSamples(source: RolloutSource, options: RecordSamplesOptions): RolloutSource {
  const { path, samples, stepsPerRound, text, engine } = options;
  let cut: Promise<void> | undefined;
  return {
    async next(request) {
      cut ??= cutSamples(path, 0);
      await cut;
      const batch = await source.next(request);
      const place = { step: batch.index * stepsPerRound, batch: batch.index };
      const chosen = batch.rollouts.slice(0, samples);
      const laws = engine === undefined ? [] : await studentLaws(engine, chosen, TOP);
      const lines = chosen.map(
        (rollout, i) => `${JSON.stringify(toSampleRecord(rollout, place, text, laws[i]))}\n`,
      );
      await appendFile(path, lines.join(""));
      return batch;
    },
    observe: (measures) => source.observe?.(measures),
    state: () => source.state(),
    restore(state: JsonValue) {
      source.restore(state);
      const { batches } = state as { readonly batches?: JsonValue };
      cut = cutSamples(path, typeof batches === "number" ? batches : 0);
    },
  };
}
