import type { DraftAnswer } from "./teacher-sequence.js";
import {
  generateResponses,
  type GeneratedResponse,
  type GenerateOrder,
} from "./generate-responses.js";
import { InterleaveStream, type OpenSequence } from "./interleave-stream.js";
import { ScoreStream, type ScoreAnswer, type ScoreQuestion } from "./score-stream.js";
import { TeacherConnection, type TeacherDescription } from "./teacher-connection.js";
import type { TeacherOptions } from "./teacher-options.js";
import type { DraftBlock, SequenceRequest } from "./teacher-sequence.js";
import { connectWithRetries } from "./connect-with-retries.js";

export type { DraftAnswer, DraftBlock, OpenSequence, SequenceRequest };

/** A remote teacher. Streams open when first used and come back when they are lost; `close` settles everything. */
export class TeacherClient {
  readonly description: TeacherDescription;
  readonly #connection: TeacherConnection;
  readonly #options: TeacherOptions;
  readonly #scores: ScoreStream;
  readonly #interleave: InterleaveStream;

  private constructor(
    connection: TeacherConnection,
    options: TeacherOptions,
    description: TeacherDescription,
  ) {
    this.#connection = connection;
    this.#options = options;
    this.description = description;
    this.#scores = new ScoreStream(connection, options, description);
    this.#interleave = new InterleaveStream(connection, options, description.vocabSize);
  }

  /** Waits for a teacher to answer.
   * @throws TandemError UNAVAILABLE when none does within `retryTimeoutMs`, CANCELLED when aborted. */
  static async connect(options: TeacherOptions, abort?: AbortSignal): Promise<TeacherClient> {
    const connection = new TeacherConnection(options);
    try {
      const description = await connectWithRetries(connection, options, abort);
      return new TeacherClient(connection, options, description);
    } catch (error) {
      connection.close();
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
    return generateResponses(this.#connection, this.#options, { ...order, vocabSize });
  }

  close(): void {
    this.#scores.close();
    this.#interleave.close();
    this.#connection.close();
  }
}
