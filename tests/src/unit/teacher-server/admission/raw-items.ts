import type { Draft__Output } from "@tandem/proto/gen/tandem/v1/Draft.js";
import type { GenerateRequest__Output } from "@tandem/proto/gen/tandem/v1/GenerateRequest.js";
import type { Open__Output } from "@tandem/proto/gen/tandem/v1/Open.js";
import type { ScoreItem__Output } from "@tandem/proto/gen/tandem/v1/ScoreItem.js";
import type { SignalSpec__Output } from "@tandem/proto/gen/tandem/v1/SignalSpec.js";
import type { ServerLimits } from "@tandem/teacher-server/admission/server-limits.js";
import { u32 } from "../../../helpers/teacher-stream.js";

/** Messages as they arrive, without a fault, and narrow limits. */
export const limits: ServerLimits = {
  vocabSize: 100,
  contextLength: 20,
  layers: 2,
  hiddenSize: 16,
  queryWidth: 16,
  keyWidth: 8,
  maxMessageBytes: 1 << 20,
  maxTopK: 50,
  maxTaus: 2,
  maxDraws: 4,
  maxAtIds: 3,
  maxDenseBytes: 4000,
  maxDraftTokens: 4,
  maxSequences: 3,
  maxItemsInFlight: 8,
  maxCachedLength: 18,
};

export const spec: SignalSpec__Output = {
  topK: 0,
  lse: false,
  token: false,
  moments: false,
  taus: [],
  draws: 0,
  dense: "DENSE_TYPE_UNSPECIFIED",
  hiddenLayers: [],
  encoding: "ENCODING_UNSPECIFIED",
  topPMass: 0,
  omitTopIds: false,
  logProbs: false,
};

export const none = Buffer.alloc(0);

export const item: ScoreItem__Output = {
  id: 1,
  tokens: u32([1, 2, 3]),
  from: 1,
  next: false,
  signal: spec,
  taus: none,
  atOffsets: none,
  atIds: none,
  runSeed: 0,
  rngKey: 0,
  timeoutMs: 0,
  priority: "PRIORITY_UNSPECIFIED",
};

export const open: Open__Output = {
  sequence: 1,
  rngKey: 2,
  prompt: u32([1, 2]),
  response: none,
  maxResponse: 5,
  stopIds: [0],
  rule: null,
  sampling: null,
  signal: null,
  runSeed: 3,
  priority: "PRIORITY_UNSPECIFIED",
};

export const draft: Draft__Output = {
  sequence: 1,
  start: 0,
  replacementsSeen: 0,
  tokens: u32([1, 2]),
  atOffsets: none,
  atIds: none,
  taus: none,
  timeoutMs: 0,
};

export const generation: GenerateRequest__Output = {
  items: [],
  sampling: { temperature: 1, topK: 0, topP: 0 },
  maxResponse: 4,
  stopIds: [],
  runSeed: 0,
  signal: null,
  timeoutMs: 0,
  priority: "PRIORITY_UNSPECIFIED",
};

export function f32(values: readonly number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer);
}
