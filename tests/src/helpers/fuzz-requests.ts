import type { MessageTypeDefinition } from "@grpc/proto-loader";
import { loadTeacherPackageDefinition } from "@tandem/proto/load-teacher-proto.js";
import type { GenerateRequest__Output } from "@tandem/proto/gen/tandem/v1/GenerateRequest.js";
import type { InterleaveRequest__Output } from "@tandem/proto/gen/tandem/v1/InterleaveRequest.js";
import type { ScoreRequest__Output } from "@tandem/proto/gen/tandem/v1/ScoreRequest.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { admitGeneration, admitPrompt } from "@tandem/teacher-server/admission/admit-generate.js";
import { admitDraft, admitOpen } from "@tandem/teacher-server/admission/admit-interleave.js";
import { admitScoreItem } from "@tandem/teacher-server/admission/admit-score.js";
import type { ServerLimits } from "@tandem/teacher-server/admission/server-limits.js";
import { assertFrugal } from "@tandem/teacher-server/grpc/assert-frugal.js";
import { mulberry32 } from "./mulberry32.js";
import { mutateBytes } from "./mutate-bytes.js";
import { u32 } from "./teacher-stream.js";

const MAX_ENTRIES = 64;

function typeNamed<T>(name: string): MessageTypeDefinition<object, T> {
  return loadTeacherPackageDefinition()[`tandem.v1.${name}`] as MessageTypeDefinition<object, T>;
}

const signal = {
  topK: 3,
  lse: true,
  token: true,
  taus: [2],
  draws: 2,
  dense: "DENSE_TYPE_F16",
  hiddenLayers: [0, 1],
  encoding: "ENCODING_COMPACT",
};
const rows = { atOffsets: u32([0, 1, 3]), atIds: u32([5, 6, 7]) };

const SCORE = typeNamed<ScoreRequest__Output>("ScoreRequest");
const INTERLEAVE = typeNamed<InterleaveRequest__Output>("InterleaveRequest");
const GENERATE = typeNamed<GenerateRequest__Output>("GenerateRequest");

/** Messages that a server takes, as bytes. */
function soundMessages(kind: number): readonly Buffer[] {
  switch (kind) {
    case 0:
      return [
        SCORE.serialize({ items: [{ id: 1, tokens: u32([1, 2, 3]), from: 1, signal, ...rows }] }),
        SCORE.serialize({
          items: [{ id: 2, tokens: u32([9]), from: 1, next: true }],
          cancel: [1, 2],
        }),
      ];
    case 1:
      return [
        INTERLEAVE.serialize({
          opens: [{ sequence: 1, prompt: u32([1, 2]), maxResponse: 5, stopIds: [0], signal }],
          drafts: [{ sequence: 1, tokens: u32([3, 4]), ...rows, timeoutMs: 100 }],
        }),
        INTERLEAVE.serialize({
          opens: [{ sequence: 7, prompt: u32([1]), maxResponse: 9, rule: { topP: 0.9 } }],
          closes: [1],
          cancels: [2],
        }),
      ];
    default:
      return [
        GENERATE.serialize({
          items: [{ sequence: 1, prompt: u32([1, 2]) }],
          sampling: { temperature: 1, topP: 0.5 },
          maxResponse: 3,
          stopIds: [1],
        }),
      ];
  }
}

/** Everything about a message that the server looks at before it computes. */
function admit(kind: number, bytes: Buffer, limits: ServerLimits): void {
  assertFrugal(bytes, MAX_ENTRIES);
  if (kind === 0) {
    for (const item of SCORE.deserialize(bytes).items) admitScoreItem(item, limits);
  } else if (kind === 1) {
    const { opens, drafts } = INTERLEAVE.deserialize(bytes);
    const admitted = opens.map((open) => admitOpen(open, limits));
    const [first] = admitted;
    if (first !== undefined) for (const draft of drafts) admitDraft(draft, first.signal, limits);
  } else {
    const request = GENERATE.deserialize(bytes);
    const generation = admitGeneration(request, limits);
    for (const item of request.items) admitPrompt(item, generation, limits);
  }
}

/** Sends damaged requests through measuring, decoding and admission: each is taken or refused with an error that says why.
 * @throws Error naming seed and case when anything else happens. */
export function fuzzRequests({
  seed,
  cases,
  limits,
}: {
  seed: number;
  cases: number;
  limits: ServerLimits;
}): { readonly cases: number; readonly refused: number; readonly taken: number } {
  const random = mulberry32(seed);
  const messages = [0, 1, 2].map(soundMessages);
  for (const [kind, list] of messages.entries()) for (const each of list) admit(kind, each, limits);
  let refused = 0;
  for (let i = 0; i < cases; i++) {
    const kind = i % 3;
    const own = messages[kind] as readonly Buffer[];
    const foreign = messages[Math.floor(random() * 3)] as readonly Buffer[];
    const pick = (from: readonly Buffer[]) => from[Math.floor(random() * from.length)] as Buffer;
    const bytes = mutateBytes(pick(own), pick(foreign), random);
    try {
      admit(kind, bytes, limits);
    } catch (error) {
      const known = error instanceof TandemError ? error.code !== "INTERNAL" : isReaderFault(error);
      if (!known) throw new Error(`seed ${seed}, case ${i}: ${String(error)}`, { cause: error });
      refused++;
    }
  }
  return { cases, refused, taken: cases - refused };
}

function isReaderFault(error: unknown): boolean {
  const message = error instanceof Error ? error.message : "";
  return /^(index out of range|invalid wire type|invalid end group|invalid varint)/.test(message);
}
