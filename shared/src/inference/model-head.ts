import type { ModelConfig } from "../checkpoint/model-config.js";
import type { BoundWeights } from "./bound-weights.js";
import { DraftSession } from "./draft-session.js";
import { answerRequests, type OpenRequest } from "./head-runner.js";
import { HeadSession } from "./head-session.js";
import { judgeDrafts } from "./judge-drafts.js";
import type { DraftVerdict } from "./step.js";

/** What a model's head can answer: everything a signal holds, or sampled tokens only, which costs less. */
export type HeadKind = "signals" | "samples";

export interface ModelHead {
  /** Fills in the answers of all requests and judges their drafts. */
  answer(requests: readonly OpenRequest[]): Promise<ReadonlyMap<OpenRequest, DraftVerdict>>;
  close(): Promise<void>;
}

export interface HeadOptions {
  readonly kind: HeadKind;
  readonly vocabulary: number;
  readonly threads: number;
  /** Memory of one run. */
  readonly headBytes: number;
}

export async function createHead(
  config: ModelConfig,
  weights: BoundWeights,
  { kind, headBytes, ...options }: HeadOptions,
): Promise<ModelHead> {
  if (kind === "samples") {
    const session = await DraftSession.create(config, weights, options);
    return {
      answer: async (requests) => {
        await session.sample(requests);
        return new Map();
      },
      close: () => session.close(),
    };
  }
  const session = await HeadSession.create(config, weights, options);
  return {
    answer: async (requests) => {
      await answerRequests(session, requests, headBytes);
      return judgeDrafts(session, requests, headBytes);
    },
    close: () => session.close(),
  };
}
