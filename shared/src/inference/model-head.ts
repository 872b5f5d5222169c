import type { ModelConfig } from "../checkpoint/model-config.js";
import type { BoundWeights } from "./bound-weights.js";
import { DraftSession } from "./draft-session.js";
import { answerRequests, type OpenRequest } from "./head-runner.js";
import { HeadSession } from "./head-session.js";
import { judgeDrafts } from "./judge-drafts.js";
import { onlySamples } from "./only-samples.js";
import type { DraftVerdict } from "./step.js";

export interface HeadOptions {
  readonly vocabulary: number;
  readonly threads: number;
  /** See SessionOptions. */
  readonly spin?: boolean;
  /** Memory of one run. */
  readonly headBytes: number;
  /** Requests that only sample go to a second, cheaper session with its own packed copy of the matrix. */
  readonly drafts: boolean;
}

/** The language-modelling head. Its sessions are made when they are first needed: a student that only drafts never pays for the
 * one that answers signals. */
export class ModelHead {
  readonly #config: ModelConfig;
  readonly #weights: BoundWeights;
  readonly #options: HeadOptions;
  #signals: Promise<HeadSession> | undefined;
  #drafts: Promise<DraftSession> | undefined;

  /** weights: must not change as long as the head lives. */
  constructor(config: ModelConfig, weights: BoundWeights, options: HeadOptions) {
    this.#config = config;
    this.#weights = weights;
    this.#options = options;
  }

  /** Makes the session that answers signals ready. */
  async prepare(): Promise<void> {
    await this.#signalSession();
  }

  /** Fills in the answers of all requests and judges their drafts. */
  async answer(requests: readonly OpenRequest[]): Promise<ReadonlyMap<OpenRequest, DraftVerdict>> {
    const isDraft = ({ head }: OpenRequest) => this.#options.drafts && onlySamples(head);
    const drafts = requests.filter(isDraft);
    if (drafts.length > 0) await (await this.#draftSession()).sample(drafts);
    const others = requests.filter((request) => !isDraft(request));
    if (others.length === 0) return new Map();
    const session = await this.#signalSession();
    await answerRequests(session, others, this.#options.headBytes);
    return judgeDrafts(session, others, this.#options.headBytes);
  }

  async close(): Promise<void> {
    await (await this.#signals)?.close();
    await (await this.#drafts)?.close();
  }

  #signalSession(): Promise<HeadSession> {
    this.#signals ??= HeadSession.create(this.#config, this.#weights, this.#options);
    return this.#signals;
  }

  #draftSession(): Promise<DraftSession> {
    this.#drafts ??= DraftSession.create(this.#config, this.#weights, this.#options);
    return this.#drafts;
  }
}
