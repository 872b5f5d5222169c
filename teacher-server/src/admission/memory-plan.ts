import { mostScoreBytes } from "@tandem/shared/inference/collate.js";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { EngineDescription } from "../engine/engine-messages.js";

export interface MemoryFacts {
  /** Of gRPC process and engine together; 0 = what the machine or its container has, less a tenth. */
  readonly limitBytes: number;
  readonly machineBytes: number;
  /** The gRPC process before it serves anybody. */
  readonly serverBytes: number;
  /** KV slots and blocks at their limits. */
  readonly kvBytes: number;
  readonly maxBatchTokens: number;
  readonly maxTaus: number;
  readonly engine: Pick<
    EngineDescription,
    | "rssBytes"
    | "vocabSize"
    | "contextLength"
    | "heads"
    | "hiddenSize"
    | "intermediateSize"
    | "layers"
    | "kvHeads"
    | "headDim"
  >;
}

const MIB = 2 ** 20;

/** Copies of an item's arrays that exist at once at worst: in the engine the answers, their frames and the message to this process (a buffer that
 * doubles as it grows); here the message as it arrives, its parts, and what gRPC makes of them. */
const COPIES = 8;

/** Messages of all callers that are under way. */
export const UNFINISHED_BYTES = 32 * MIB;

/** Budget of shared/inference for one run of the head. */
const HEAD_BYTES = 256 * MIB;
/** The native allocator keeps what it once had, in pieces that do not always fit again. */
const FRAGMENTATION = 1.5;
/** A bucket of KV slots that grows is copied. */
const KV_GROWTH = 1.5;

const LEAST_REQUEST_BYTES = 4 * MIB;
const MOST_REQUEST_BYTES = 2048 * MIB;

/** Bytes that may be in use for items and their answers, so that everything together stays under the limit.
 * @throws TandemError FAILED_PRECONDITION when a limit was given and the model alone does not fit under it. */
export function planRequestBytes(facts: MemoryFacts): number {
  const limit = facts.limitBytes > 0 ? facts.limitBytes : 0.9 * facts.machineBytes;
  const fixed =
    facts.serverBytes +
    UNFINISHED_BYTES +
    facts.engine.rssBytes +
    KV_GROWTH * facts.kvBytes +
    FRAGMENTATION * workspaceBytes(facts);
  const room = Math.floor((limit - fixed) / COPIES);
  if (facts.limitBytes > 0 && room < LEAST_REQUEST_BYTES) {
    const needed = Math.ceil(fixed + COPIES * LEAST_REQUEST_BYTES);
    throw new TandemError(
      "FAILED_PRECONDITION",
      `--memory-limit ${facts.limitBytes} is too small: model, KV caches and the working space of a step take ${needed} bytes; lower --kv-cache-memory-bytes (${facts.kvBytes} with the prefix cache) or --max-num-batched-tokens`,
      { field: "memory-limit", limit: needed },
    );
  }
  return Math.min(MOST_REQUEST_BYTES, Math.max(LEAST_REQUEST_BYTES, room));
}

/** What a forward pass of the largest size takes while it runs: activations, the keys and values that it adds, attention scores and their softmax,
 * a chunk of the head. */
function workspaceBytes({ engine, maxBatchTokens, maxTaus }: MemoryFacts): number {
  const { heads, contextLength, hiddenSize, intermediateSize, vocabSize } = engine;
  const { layers, kvHeads, headDim } = engine;
  const activations = 12 * hiddenSize + 4 * intermediateSize;
  const added = 2 * layers * kvHeads * headDim;
  const states = 4 * maxBatchTokens * (activations + added);
  const scores = Math.min(
    mostScoreBytes(heads, contextLength),
    4 * heads * contextLength * 4 * maxBatchTokens,
  );
  const head = Math.min(HEAD_BYTES, 256 * 4 * vocabSize * (3 + 3 * maxTaus));
  return states + 2 * scores + head;
}
