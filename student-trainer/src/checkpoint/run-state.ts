import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { z } from "zod";
import type { JsonValue } from "../training/rollout-source.js";

const jsonValue: z.ZodType<JsonValue> = z.json() as z.ZodType<JsonValue>;

const schema = z.strictObject({
  /** Layout of the checkpoint. */
  version: z.literal(1),
  /** Optimizer steps done. */
  step: z.int().min(0),
  /** The batch of rollouts in use and the steps already made with it. */
  round: z.int().min(0),
  stepInRound: z.int().min(0),
  /** Updates of the optimizer; fewer than steps when minibatches were empty. */
  updates: z.int().min(0),
  /** Digest of the resolved configuration. */
  configDigest: z.string(),
  /** Length of metrics.jsonl when the checkpoint was taken. */
  metricsBytes: z.int().min(0),
  /** State of the rollout source behind the batches that are stored along. */
  source: jsonValue,
});

/** All that resume needs besides tensors and rollouts. */
export type RunState = z.output<typeof schema>;

/** @throws TandemError DATA_LOSS when the file is not the state of a checkpoint. */
export function parseRunState(text: string, path: string): RunState {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new TandemError(
      "DATA_LOSS",
      `${path} is not the state of a checkpoint; use an older one`,
      { cause },
    );
  }
}
