import type { TextCodec } from "../data/text-codec.js";
import type { PieceReader } from "./sample-record.js";

/** A checkpoint's tokenizer as data, evaluation and people use it. */
export interface OpenTokenizer extends TextCodec, PieceReader {
  readonly fingerprint: string;
  /** Largest id + 1. */
  readonly vocabularySize: number;
}

export declare function openTokenizer(dir: string): Promise<OpenTokenizer>;
