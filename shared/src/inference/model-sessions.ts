import type { ModelConfig } from "../checkpoint/model-config.js";
import { countParameters } from "../models/parameters.js";
import { BodySession } from "./body-session.js";
import type { BoundWeights } from "./bound-weights.js";
import { ModelHead, type HeadOptions } from "./model-head.js";
import { WriterSession } from "./writer-session.js";

/** Up to here a run's fixed costs are worth a session that draws many tokens per run; beyond, arithmetic is nearly all. */
const WRITER_PARAMETERS = 32e6;

/** Rounds that nobody asked for are cheaper than another session, which takes as long as some twenty runs, as long as they are few or rare:
 * rows that end together at the end of a batch ask for fewer than all the runs before. */
const MAX_SURPLUS = 6;

/** The native sessions over one set of weights, each made when it is first needed: a student that only writes pays for the writer alone. */
export class ModelSessions {
  readonly head: ModelHead;
  /** Rows that only sample can be written by `writer`. */
  readonly canWrite: boolean;
  readonly #config: ModelConfig;
  readonly #weights: BoundWeights;
  readonly #options: HeadOptions;
  #body: Promise<BodySession> | undefined;
  /** By rising numbers of rounds. */
  #writers: { readonly rounds: number; readonly session: Promise<WriterSession> }[] = [];

  private constructor(config: ModelConfig, weights: BoundWeights, options: HeadOptions) {
    this.canWrite = options.drafts && countParameters(config) <= WRITER_PARAMETERS;
    this.#config = config;
    // Only small weights are kept twice; of large ones nothing but the head is wanted later.
    this.#weights = this.canWrite ? weights.copy() : weights;
    this.#options = options;
    this.head = new ModelHead(config, this.canWrite ? this.#weights : weights.headCopy(), options);
  }

  /** weights: may change when this has returned. */
  static async create(
    config: ModelConfig,
    weights: BoundWeights,
    options: HeadOptions,
  ): Promise<ModelSessions> {
    const sessions = new ModelSessions(config, weights, options);
    if (!sessions.canWrite) await sessions.body();
    return sessions;
  }

  body(): Promise<BodySession> {
    this.#body ??= BodySession.create(this.#config, this.#weights, this.#options);
    return this.#body;
  }

  /** A session of at least so many rounds, and not of many more. Only where `canWrite`. */
  writer(rounds: number): Promise<WriterSession> {
    const known = this.#writers.find(
      (writer) => writer.rounds >= rounds && writer.rounds <= MAX_SURPLUS * rounds,
    );
    if (known !== undefined) return known.session;
    const options = { ...this.#options, rounds };
    const session = WriterSession.create(this.#config, this.#weights, options);
    this.#writers.push({ rounds, session });
    this.#writers.sort((a, b) => a.rounds - b.rounds);
    return session;
  }

  async close(): Promise<void> {
    await Promise.all([
      this.head.close(),
      (await this.#body)?.close(),
      ...this.#writers.map(async ({ session }) => (await session).close()),
    ]);
  }
}
