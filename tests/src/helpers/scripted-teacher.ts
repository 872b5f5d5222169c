import { Server, ServerCredentials, status, type ServerDuplexStream } from "@grpc/grpc-js";
import type { Draft__Output } from "@tandem/proto/gen/tandem/v1/Draft.js";
import type { InterleaveRequest__Output } from "@tandem/proto/gen/tandem/v1/InterleaveRequest.js";
import type { InterleaveResponse } from "@tandem/proto/gen/tandem/v1/InterleaveResponse.js";
import type { Open__Output } from "@tandem/proto/gen/tandem/v1/Open.js";
import type { ScoreRequest__Output } from "@tandem/proto/gen/tandem/v1/ScoreRequest.js";
import type { ScoreResponse } from "@tandem/proto/gen/tandem/v1/ScoreResponse.js";
import { loadTeacherProto } from "@tandem/proto/load-teacher-proto.js";
import { uniformAt } from "@tandem/shared/numeric/philox.js";
import { sampleRow } from "@tandem/shared/sampling/sample-row.js";
import { toSignalFrames } from "@tandem/shared/wire/signal-frame.js";

import { TOY_TEACHER, TOY_VOCABULARY, toyLogits } from "./toy-law.js";

type Stream = ServerDuplexStream<InterleaveRequest__Output, InterleaveResponse>;

export interface Script {
  /** Milliseconds before the nth draft is answered. */
  readonly delayMs?: (n: number) => number;
  /** Break the stream instead of answering the nth draft (counted over all streams). */
  readonly breakAt?: ReadonlySet<number>;
  /** Answer the nth draft with this in-band error and forget its session. */
  readonly failAt?: ReadonlyMap<
    number,
    "UNAVAILABLE" | "NOT_FOUND" | "RESOURCE_EXHAUSTED" | "INVALID_ARGUMENT"
  >;
  /** Answer every score RESOURCE_EXHAUSTED, without a time to come again. */
  readonly refuseScores?: boolean;
  readonly weightsDigest?: string;
}

interface Session {
  readonly open: Open__Output;
  readonly response: number[];
  replacements: number;
  finished: boolean;
}

export interface ScriptedTeacher {
  readonly address: string;
  /** What was seen, over all streams. */
  readonly counts: {
    streams: number;
    opens: number;
    drafts: number;
    stales: number;
    computed: number;
    scores: number;
  };
  close(): Promise<void>;
}

/** The contract's Interleave and Describe over the toy law, in this process, with faults on demand. Not the product's server: its only
 * use is to bring a client into situations that a healthy server avoids. */
export async function startScriptedTeacher(
  script: Script = {},
  port = 0,
): Promise<ScriptedTeacher> {
  const counts = { streams: 0, opens: 0, drafts: 0, stales: 0, computed: 0, scores: 0 };
  const server = new Server();
  const notScripted = () => {
    throw new Error("not scripted");
  };
  server.addService(loadTeacherProto().Teacher.service, {
    Describe: (_call: unknown, done: (error: null, response: object) => void) =>
      done(null, {
        model: "toy",
        weightsDigest: script.weightsDigest ?? "sha256:toy",
        numericsId: "toy",
        vocabSize: TOY_VOCABULARY,
        paddedVocabSize: TOY_VOCABULARY,
        tokenizerFingerprint: "sha256:toy",
        contextLength: 1000,
      }),
    Interleave: (call: Stream) => serve(call, script, counts),
    Score: script.refuseScores === true ? refuseScores(counts) : notScripted,
    Generate: notScripted,
  });
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, actual) =>
      error === null ? resolve(actual) : reject(error),
    ),
  );
  return {
    address: `127.0.0.1:${bound}`,
    counts,
    async close() {
      server.forceShutdown();
    },
  };
}

function refuseScores(counts: ScriptedTeacher["counts"]) {
  return (call: ServerDuplexStream<ScoreRequest__Output, ScoreResponse>) => {
    call.on("error", () => undefined);
    call.on("end", () => call.end());
    call.on("data", ({ items }: ScoreRequest__Output) => {
      counts.scores += items.length;
      const code = "ERROR_CODE_RESOURCE_EXHAUSTED" as const;
      call.write({ errors: items.map(({ id }) => ({ id, code, reason: "scripted" })) });
    });
  };
}

function serve(call: Stream, script: Script, counts: ScriptedTeacher["counts"]): void {
  counts.streams++;
  const sessions = new Map<number, Session>();
  let queue: Promise<void> = Promise.resolve();
  call.on("error", () => undefined);
  call.on("end", () => call.end());
  call.on("data", (message: InterleaveRequest__Output) => {
    for (const open of message.opens) {
      counts.opens++;
      sessions.set(open.sequence, {
        open,
        response: toIds(open.response),
        replacements: 0,
        finished: false,
      });
    }
    for (const draft of message.drafts) {
      queue = queue.then(() => answer(call, { sessions, draft, script, counts }));
    }
    for (const id of message.closes) queue = queue.then(() => void sessions.delete(id));
  });
}

interface Question {
  readonly sessions: Map<number, Session>;
  readonly draft: Draft__Output;
  readonly script: Script;
  readonly counts: ScriptedTeacher["counts"];
}

async function answer(call: Stream, { sessions, draft, script, counts }: Question): Promise<void> {
  if (call.destroyed) return;
  const n = counts.drafts++;
  const delay = script.delayMs?.(n) ?? 0;
  if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay).unref());
  if (script.breakAt?.has(n) === true) {
    call.emit("error", { code: status.UNAVAILABLE, details: "scripted break" });
    call.destroy();
    return;
  }
  const { sequence, start } = draft;
  const fault = script.failAt?.get(n);
  const session = sessions.get(sequence);
  if (fault !== undefined || session === undefined) {
    sessions.delete(sequence);
    const code = `ERROR_CODE_${fault ?? "NOT_FOUND"}` as const;
    call.write({ errors: [{ id: sequence, code, reason: "scripted", start, retryDelayMs: 5 }] });
    return;
  }
  if (session.finished || draft.replacementsSeen < session.replacements) {
    counts.stales++;
    call.write({ stales: [{ sequence, start }] });
    return;
  }
  call.write({ verdicts: [judge(session, draft, counts)] });
}

function judge(session: Session, draft: Draft__Output, counts: ScriptedTeacher["counts"]) {
  const { open, response } = session;
  const prompt = toIds(open.prompt);
  const from = prompt.length + response.length;
  if (draft.start !== response.length) throw new Error("draft out of order");
  const ranks: number[] = [];
  const rows: Float32Array[] = [];
  const drafts = toIds(draft.tokens);
  counts.computed += drafts.length;
  let accepted = 0;
  let replacement: number | undefined;
  for (const token of drafts) {
    const logits = toyLogits([...prompt, ...response], TOY_TEACHER);
    const rank = logits.filter((logit) => logit > (logits[token] as number)).length;
    ranks.push(rank);
    rows.push(logits);
    if (rank >= (open.rule?.rank ?? 1)) {
      const at = { runSeed: open.runSeed, rngKey: open.rngKey, position: response.length };
      const { temperature = 0, topK = 0, topP = 1 } = open.sampling ?? {};
      const uniform = uniformAt({ ...at, stream: "replacement" });
      replacement = sampleRow(logits, { temperature, topK, topP: topP === 0 ? 1 : topP }, uniform);
      response.push(replacement);
      session.replacements++;
      break;
    }
    accepted++;
    response.push(token);
    if (open.stopIds.includes(token) || response.length >= open.maxResponse) break;
  }
  const stopped = open.stopIds.includes(response.at(-1) ?? -1);
  session.finished = stopped || response.length >= open.maxResponse;
  return {
    sequence: draft.sequence,
    start: draft.start,
    accepted,
    ...(replacement === undefined ? {} : { replacement }),
    draftRanks: Buffer.from(Uint32Array.from(ranks).buffer),
    frames: (open.signal?.dense === "DENSE_TYPE_F32" ? [rows] : []).flatMap((dense) =>
      toSignalFrames(
        {
          from,
          count: dense.length,
          topK: 0,
          tauCount: 0,
          dense: Float32Array.from(dense.flatMap((row) => [...row])),
        },
        {
          encoding: "PLAIN",
          vocabSize: TOY_VOCABULARY,
          maxLogitError: 0,
          denseType: "f32",
          maxFrameBytes: 1 << 19,
        },
      ),
    ),
    last: true,
    finish: session.finished ? (stopped ? "FINISH_STOP" : "FINISH_LENGTH") : "FINISH_UNSPECIFIED",
    usage: { computedPositions: drafts.length },
  } as const;
}

function toIds(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32LE(4 * i));
}
