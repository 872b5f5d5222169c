import type { InterleaveRequest } from "@tandem/proto/gen/tandem/v1/InterleaveRequest.js";
import type { InterleaveResponse__Output } from "@tandem/proto/gen/tandem/v1/InterleaveResponse.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { philox4x32 } from "@tandem/shared/numeric/philox.js";
import type { LiveServer } from "../helpers/live-server.js";
import { TeacherStream, u32 } from "../helpers/teacher-stream.js";

export interface VerifierShape {
  readonly rows: number;
  /** Drafts per row. */
  readonly block: number;
  /** Tokens of each row's prompt. */
  readonly prompt: number;
  readonly topK: number;
}

export interface Sequence {
  readonly prompt: Uint32Array;
  readonly draft: Uint32Array;
}

/** Rejects nothing, so that a run ends with the same caches it began with. */
export const ACCEPT_ALL = { kind: "rank", k: 2 ** 31 } as const;
export const SAMPLING = { temperature: 1, topK: 0, topP: 1 } as const;

/** Random prompts and drafts, the same in every run. */
export function drawSequences(
  vocabSize: number,
  { rows, block, prompt }: VerifierShape,
): Sequence[] {
  return Array.from({ length: rows }, (_, row): Sequence => {
    const token = (i: number) => (philox4x32([row, i, 0, 0], [3, 4])[0] as number) % vocabSize;
    const all = Uint32Array.from({ length: prompt + block }, (__, i) => token(i));
    return { prompt: all.subarray(0, prompt), draft: all.subarray(prompt) };
  });
}

export interface Verifier {
  /** One verification of all rows. */
  readonly verify: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** The same drafts again and again: a repeated draft is computed anew, from the cache of its prompt. */
export async function openServed(
  server: LiveServer,
  sequences: readonly Sequence[],
  { block, topK }: VerifierShape,
): Promise<Verifier> {
  const stream = new TeacherStream<InterleaveRequest, InterleaveResponse__Output>(
    server.client.interleave(),
  );
  stream.send({
    opens: sequences.map(({ prompt }, sequence) => ({
      sequence,
      rngKey: sequence,
      runSeed: 1,
      prompt: u32(prompt),
      maxResponse: 2 * block,
      rule: { rank: ACCEPT_ALL.k },
      sampling: SAMPLING,
      signal: { topK, encoding: "ENCODING_COMPACT" as const, maxLogitError: 0.01 },
    })),
  });
  const drafts = sequences.map(({ draft }, sequence) => ({
    sequence,
    start: 0,
    replacementsSeen: 0,
    tokens: u32(draft),
  }));
  return {
    verify: async () => {
      stream.send({ drafts });
      for (let open = drafts.length; open > 0;) {
        const message = await stream.next();
        if (message === undefined || message.errors.length > 0)
          throw new TandemError("INTERNAL", JSON.stringify(message?.errors));
        open -= message.verdicts.filter(({ last }) => last).length;
      }
    },
    close: () => stream.finish(),
  };
}
