import type { DraftAnswer } from "./teacher-sequence.js";
import {
  generateResponses,
  type GeneratedResponse,
  type GenerateOrder,
} from "./generate-responses.js";
import { InterleaveStream, type OpenSequence } from "./interleave-stream.js";
import { ScoreStream, type ScoreAnswer, type ScoreQuestion } from "./score-stream.js";
import { ReplicaPool } from "./replica-pool.js";
import type { TeacherDescription } from "./teacher-description.js";
import type { TeacherOptions } from "./teacher-options.js";
import type { DraftBlock, SequenceRequest } from "./teacher-sequence.js";

export type { DraftAnswer, DraftBlock, OpenSequence, SequenceRequest };

/** A remote teacher, served by one or more replicas. Streams open when first used and come back when they are lost, on whichever replica serves;
 * what is answered never depends on which one did. `close` settles everything. */
export class TeacherClient {
  readonly description: TeacherDescription;
  readonly #pool: ReplicaPool;
  readonly #options: TeacherOptions;
  readonly #scores: ScoreStream;
  readonly #interleave: InterleaveStream;

  private constructor(pool: ReplicaPool, options: TeacherOptions, description: TeacherDescription) {
    this.#pool = pool;
    this.#options = options;
    this.description = description;
    this.#scores = new ScoreStream(pool, options, description);
    this.#interleave = new InterleaveStream(pool, options, description.vocabSize);
  }

  /** Waits for a replica to answer.
   * @throws TandemError UNAVAILABLE when none does within `retryTimeoutMs`, FAILED_PRECONDITION when replicas differ, CANCELLED when aborted. */
  static async connect(options: TeacherOptions, abort?: AbortSignal): Promise<TeacherClient> {
    const pool = new ReplicaPool(options);
    try {
      return new TeacherClient(pool, options, await pool.connect(abort));
    } catch (error) {
      pool.close();
      throw error;
    }
  }

  score(question: ScoreQuestion): Promise<ScoreAnswer> {
    return this.#scores.score(question);
  }

  openSequence(request: SequenceRequest): OpenSequence {
    return this.#interleave.openSequence(request);
  }

  generate(order: Omit<GenerateOrder, "vocabSize">): Promise<GeneratedResponse[]> {
    const { vocabSize } = this.description;
    return generateResponses(this.#pool, this.#options, { ...order, vocabSize });
  }

  close(): void {
    this.#scores.close();
    this.#interleave.close();
    this.#pool.close();
  }
}
