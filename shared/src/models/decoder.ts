import type { ModelConfig } from "../checkpoint/model-config.js";
import { invariant, unreachable } from "../errors/invariant.js";
import type { Tensor, TensorOps } from "../tensor/tensor-ops.js";
import type { Attend, DecoderOutput, WeightSource } from "./decoder-parts.js";
import { gpt2 } from "./gpt2.js";
import { llama } from "./llama.js";
import { headName } from "./parameters.js";
import { rotaryAngles } from "./rope.js";

/** What tells a model where its tokens stand: rotary angles or ids of learned positions, by family. */
export type PlaceInputs<T> =
  | { readonly kind: "rotary"; readonly cos: T; readonly sin: T }
  | { readonly kind: "learned"; readonly positions: T };

export interface DecoderInputs<T> {
  /** Token ids, i64 [N]. */
  readonly ids: T;
  readonly places: PlaceInputs<T>;
  readonly attend: Attend<T>;
}

/** The transformer of a model up to its final norm, on N packed tokens: f32 [N,D] and the residual stream of every layer. */
export function decode<T extends Tensor>(
  ops: TensorOps<T>,
  config: ModelConfig,
  weight: WeightSource<T>,
  { ids, places, attend }: DecoderInputs<T>,
): DecoderOutput<T> {
  switch (config.family) {
    case "llama":
    case "mistral":
    case "qwen2":
    case "qwen3": {
      const { cos, sin } = expectPlaces(places, "rotary");
      return llama(ops, config, weight, { ids, cos, sin, attend });
    }
    case "gpt2":
      return gpt2(ops, config, weight, {
        ids,
        positions: expectPlaces(places, "learned").positions,
        attend,
      });
    default:
      return unreachable(config);
  }
}

/** Raw logits f32 [N,V] of hidden states [N,D]. `vocabulary`: V, if the head has more rows than the tokenizer has ids. */
export function logits<T extends Tensor>(
  ops: TensorOps<T>,
  config: ModelConfig,
  weight: WeightSource<T>,
  { hidden, vocabulary = config.vocabSize }: { hidden: T; vocabulary?: number },
): T {
  const head = weight(headName(config));
  const cut = vocabulary < config.vocabSize ? ops.slice(head, 0, 0, vocabulary) : head;
  return ops.matmul(hidden, cut, { transB: true });
}

/** Attention within whole rows, for training: the packed tokens are B rows of T positions, N = B·T, row by row. */
export function attendWithinRows<T extends Tensor>(
  ops: TensorOps<T>,
  config: ModelConfig,
  { rows, positions }: { rows: number; positions: number },
): Attend<T> {
  const { heads, kvHeads, headDim } = config;
  const unpack = (x: T, count: number) => ops.reshape(x, [rows, positions, count * headDim]);
  return (_layer, q, k, v) => {
    const out = ops.causalAttention(unpack(q, heads), unpack(k, kvHeads), unpack(v, kvHeads), {
      heads,
      kvHeads,
      scale: 1 / Math.sqrt(headDim),
    }); // [B,T,H·d]
    return ops.reshape(out, [rows * positions, heads * headDim]);
  };
}

/** The numbers to feed for tokens at these positions. */
export type PlaceValues =
  | {
      readonly kind: "rotary";
      readonly cos: Float32Array;
      readonly sin: Float32Array;
      readonly width: number;
    }
  | { readonly kind: "learned"; readonly positions: BigInt64Array };

export function placeValues(config: ModelConfig, positions: ArrayLike<number>): PlaceValues {
  if (config.family === "gpt2") {
    return {
      kind: "learned",
      positions: BigInt64Array.from({ length: positions.length }, (_, i) => BigInt(positions[i]!)),
    };
  }
  return { kind: "rotary", ...rotaryAngles(config, positions), width: config.headDim / 2 };
}

function expectPlaces<T, K extends PlaceInputs<T>["kind"]>(
  places: PlaceInputs<T>,
  kind: K,
): Extract<PlaceInputs<T>, { kind: K }> {
  invariant(places.kind === kind, `the model takes ${kind} positions, given were ${places.kind}`);
  return places as Extract<PlaceInputs<T>, { kind: K }>;
}
