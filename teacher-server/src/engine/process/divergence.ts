import { readFile } from "node:fs/promises";
import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import type { ModelRunner } from "@tandem/shared/inference/model-runner.js";
import { Tokenizer } from "@tandem/shared/tokenizer/tokenizer.js";
import { readTokenizerFiles } from "@tandem/shared/tokenizer/tokenizer-files.js";
import { NO_SIGNAL } from "@tandem/shared/wire/teacher-signal.js";
import type { Divergence } from "../engine-messages.js";

/** Our own prose, arithmetic and code, under the licence of this package. */
const TEXT = new URL("../../../data/divergence-text.txt", import.meta.url);

/** Positions compared: their float32 laws are in memory all at once. */
const MAX_POSITIONS = 512;

/** Tokens per step. */
const CHUNK = 64;

/** Token ids of the text shipped for measuring; its bytes where the model has no tokenizer. */
export async function divergenceTokens(
  modelDir: string,
  { vocabulary, maxLength }: { readonly vocabulary: number; readonly maxLength: number },
): Promise<Uint32Array> {
  const text = await readFile(TEXT, "utf8");
  const files = await readTokenizerFiles(modelDir).catch((error: unknown) => {
    if (TandemError.from(error).code === "NOT_FOUND") return undefined;
    throw error;
  });
  const ids =
    files === undefined
      ? Uint32Array.from(Buffer.from(text), (byte) => byte % vocabulary)
      : new Tokenizer(files).encode(text);
  return ids.slice(0, Math.min(MAX_POSITIONS, maxLength));
}

/** Raw logits behind every token, chunk by chunk: f32 [n,V] each. */
export async function* lawsOf(
  runner: ModelRunner,
  tokens: Uint32Array,
): AsyncGenerator<Float32Array> {
  const cache = 0;
  for (let past = 0; past < tokens.length; past += CHUNK) {
    const piece = tokens.slice(past, past + CHUNK);
    const head = {
      first: 0,
      targets: new Uint32Array(piece.length),
      spec: { ...NO_SIGNAL, dense: "f32" as const },
    };
    const row = { cache, past, tokens: piece, maxLength: tokens.length, head };
    const { rows } = await runner.run({ release: [], rows: [row] });
    yield rows[0]!.signal!.dense!;
  }
  await runner.run({ release: [cache], rows: [] });
}

/** Compares laws position by position. */
export class DivergenceMeter {
  readonly #vocabulary: number;
  readonly #kl: number[] = [];
  #agreed = 0;

  constructor(vocabulary: number) {
    this.#vocabulary = vocabulary;
  }

  /** Logits f32 [n,V] of the same positions. */
  compare(reference: Float32Array, served: Float32Array): void {
    const V = this.#vocabulary;
    for (let begin = 0; begin < reference.length; begin += V) {
      const p = summarise(reference.subarray(begin, begin + V));
      const q = summarise(served.subarray(begin, begin + V));
      let kl = 0;
      for (let v = begin; v < begin + V; v++) {
        const logP = reference[v]! - p.lse;
        kl += Math.exp(logP) * (logP - (served[v]! - q.lse));
      }
      this.#kl.push(Math.max(0, kl));
      if (p.best === q.best) this.#agreed++;
    }
  }

  result(): Divergence {
    const sorted = this.#kl.toSorted((a, b) => a - b);
    return {
      meanKl: sorted.reduce((sum, kl) => sum + kl, 0) / sorted.length,
      p99Kl: sorted[Math.ceil(0.99 * sorted.length) - 1]!,
      top1Agreement: this.#agreed / sorted.length,
    };
  }
}

function summarise(logits: Float32Array): { readonly lse: number; readonly best: number } {
  let best = 0;
  for (let v = 1; v < logits.length; v++) if (logits[v]! > logits[best]!) best = v;
  const maximum = logits[best]!;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - maximum);
  return { lse: maximum + Math.log(sum), best };
}
