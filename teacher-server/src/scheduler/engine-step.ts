/** What crosses between the gRPC process and the engine process: a Step of shared/inference with the wish of encoding beside each row, and its
 * result with every signal already encoded, so that only bytes cross. */
import type {
  DraftVerdict,
  HeadRequest,
  Step,
  StepRow,
  StepRowResult,
} from "@tandem/shared/inference/step.js";
import type { SignalFrame } from "@tandem/proto/gen/tandem/v1/SignalFrame.js";

export interface SignalEncoding {
  readonly encoding: "plain" | "compact";
  /** COMPACT: largest absolute error of logits, nats; 0 = exact. */
  readonly maxLogitError: number;
}

export interface EngineRow extends StepRow {
  /** Present with `head`. */
  readonly encoding?: SignalEncoding;
}

export interface EngineStep extends Step {
  readonly rows: readonly EngineRow[];
}

export interface EngineRowResult {
  readonly cache: number;
  /** In order of positions; each far below a message's limit unless one row alone is not. */
  readonly frames: readonly EncodedFrame[];
  readonly verdict?: DraftVerdict;
  readonly sampled?: number;
  /** The row failed by itself; nothing else is set and its cache is empty. */
  readonly failure?: StepRowResult["failure"];
}

/** A frame as grpc-js takes it. */
export interface EncodedFrame {
  readonly message: SignalFrame;
  /** Of the whole message, at most: for packing. */
  readonly sizeBytes: number;
}

export interface EngineStepResult {
  readonly rows: readonly EngineRowResult[];
  readonly computeMs: number;
  readonly computedPositions: number;
  readonly headPositions: number;
}

/** What is asked of the laws, wherever in a row they lie. */
export type HeadWish = Omit<HeadRequest, "first">;

/** How many laws a wish covers: one per target, and the one that is sampled from. */
export function lawCount(head: HeadWish): number {
  return head.targets.length + (head.sample === undefined ? 0 : 1);
}
