import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { z } from "zod";

import type { JsonValue } from "../training/rollout-source.js";
import type { Rollout } from "./rollout.js";

/** A text of the replay, without anything a teacher or an older student said of it; the prompt is the data's. */
export type ReplayText = Pick<
  Rollout,
  "row" | "sample" | "epoch" | "response" | "authors" | "finish"
>;

/** Where DistiLLM's schedule stands. Never changed, only replaced. */
export interface AdaptiveState {
  /** φ: how much of the text the student may write. */
  readonly threshold: number;
  /** The validation loss at which φ rose last; null before the first. */
  readonly reference: number | null;
  /** Oldest first. */
  readonly replay: readonly ReplayText[];
}

/** The slice `rollout.adaptive`. */
export const adaptiveSchema = z
  .strictObject({
    threshold: z.number().min(0).max(1).default(0).describe("adaptive: φ in the beginning"),
    step: z.number().gt(0).max(1).default(0.1).describe("adaptive: by how much φ rises"),
    tolerance: z
      .number()
      .min(0)
      .default(0.1)
      .describe("adaptive: by how much the held-out answers' loss must have risen for it, nats"),
    capacity: z.int().min(1).default(1000).describe("adaptive: texts in the replay"),
  })
  .prefault({});

export type AdaptiveConfig = z.output<typeof adaptiveSchema>;

/** What a batch is made of: text of the student as it is, its texts of before, or what `otherwise` says. */
export type AdaptiveBatch = "fresh" | "replayed" | "other";

export function initialAdaptive({ threshold }: AdaptiveConfig): AdaptiveState {
  return { threshold, reference: null, replay: [] };
}

/** A validation: where the loss is larger than at the last rise by the tolerance, the student learns too little from given text, and φ rises.
 * Source: Ko et al. 2024 (DistiLLM, arXiv 2402.03898), its release. */
export function observeLoss(
  state: AdaptiveState,
  loss: number,
  { step, tolerance }: AdaptiveConfig,
): AdaptiveState {
  const { reference, threshold } = state;
  if (reference === null) return { ...state, reference: loss };
  if (loss < reference + tolerance) return state;
  return { ...state, reference: loss, threshold: Math.min(1, threshold + step) };
}

/** Below φ·(1−progress) the student writes, below φ the replay is drawn from (filled first), above given text is used. */
export function chooseBatch(
  { threshold, replay }: AdaptiveState,
  { uniform, progress }: { readonly uniform: number; readonly progress: number },
  { capacity }: AdaptiveConfig,
): AdaptiveBatch {
  if (uniform >= threshold) return "other";
  const isFresh = uniform < threshold * (1 - progress) || replay.length < capacity;
  return isFresh ? "fresh" : "replayed";
}

/** The newest texts stay. */
export function addTexts(
  state: AdaptiveState,
  rollouts: readonly Rollout[],
  { capacity }: AdaptiveConfig,
): AdaptiveState {
  const texts = rollouts.map(({ row, sample, epoch, response, authors, finish }) => ({
    row,
    sample,
    epoch,
    response,
    authors,
    finish,
  }));
  return { ...state, replay: [...state.replay, ...texts].slice(-capacity) };
}

/** `count` texts of the replay, none twice as long as there are so many; `uniform` gives the i-th number in [0, 1). */
export function drawTexts(
  { replay }: AdaptiveState,
  count: number,
  uniform: (i: number) => number,
): readonly ReplayText[] {
  const left = [...replay.keys()];
  return Array.from({ length: count }, (_, i) => {
    if (left.length === 0) left.push(...replay.keys());
    const [chosen] = left.splice(Math.floor(uniform(i) * left.length), 1);
    return replay[chosen!]!;
  });
}

/** For a checkpoint: ids as base64 of u32 little-endian. */
export function adaptiveToJson({ threshold, reference, replay }: AdaptiveState): JsonValue {
  const encode = (array: Uint32Array | Uint8Array): string =>
    Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
  return {
    threshold,
    reference,
    replay: replay.map(({ response, authors, ...text }) => ({
      ...text,
      response: encode(response),
      authors: encode(authors),
    })),
  };
}

const stateSchema = z.strictObject({
  threshold: z.number(),
  reference: z.number().nullable(),
  replay: z.array(
    z.strictObject({
      row: z.int(),
      sample: z.int(),
      epoch: z.int(),
      finish: z.enum(["stop", "length"]),
      response: z.base64(),
      authors: z.base64(),
    }),
  ),
});

/** @throws TandemError DATA_LOSS. */
export function adaptiveFromJson(value: JsonValue): AdaptiveState {
  const parsed = stateSchema.safeParse(value);
  if (!parsed.success) {
    throw new TandemError("DATA_LOSS", "the checkpoint's replay is damaged", {
      cause: parsed.error,
    });
  }
  const decode = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "base64"));
  const replay = parsed.data.replay.map((text) => ({
    ...text,
    response: new Uint32Array(decode(text.response).buffer),
    authors: decode(text.authors),
  }));
  return { ...parsed.data, replay };
}
