import type { ClientDuplexStream } from "@grpc/grpc-js";
import type { ScoreRequest } from "@tandem/proto/gen/tandem/v1/ScoreRequest.js";
import type { ScoreResponse__Output } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import type { TeacherClient } from "@tandem/proto/gen/tandem/v1/Teacher.js";
import { u32 } from "../../helpers/teacher-stream.js";

/** The teacher's raw logits behind a sequence: a full forward pass per question (Score, `next`, dense), kept by sequence. */
export class LawSource {
  readonly #stream: ClientDuplexStream<ScoreRequest, ScoreResponse__Output>;
  readonly #laws = new Map<string, Promise<Float32Array>>();
  readonly #waiting = new Map<number, (law: Float32Array) => void>();
  #nextId = 1;

  constructor(client: TeacherClient) {
    this.#stream = client.score();
    // Ends with its server.
    this.#stream.on("error", () => {});
    this.#stream.on("data", ({ results }: ScoreResponse__Output) => {
      for (const { id, frames } of results) {
        const bytes = frames[0]?.plain?.dense ?? new Uint8Array(0);
        this.#waiting.get(id)?.(new Float32Array(new Uint8Array(bytes).buffer));
      }
    });
  }

  law(tokens: readonly number[]): Promise<Float32Array> {
    const key = tokens.join();
    const law = this.#laws.get(key) ?? this.#ask(tokens);
    this.#laws.set(key, law);
    return law;
  }

  #ask(tokens: readonly number[]): Promise<Float32Array> {
    const id = this.#nextId++;
    const signal = { dense: "DENSE_TYPE_F32" } as const;
    this.#stream.write({
      items: [{ id, tokens: u32(tokens), from: tokens.length, next: true, signal }],
    });
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }
}
