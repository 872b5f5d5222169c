import { TandemError } from "../errors/tandem-error.js";
import type { JsonObject } from "./tokenizer-files.js";

export interface CharTokenizerPieces {
  /** Ids 0, 1, …: whole words that text may contain and decoding leaves out, such as `<pad>` and `<eos>`. */
  readonly special: readonly string[];
  /** One character each; their ids follow. */
  readonly characters: readonly string[];
}

/** A tokenizer.json with one token per character: byte-pair encoding without merges, which transformers' PreTrainedTokenizerFast and
 * @huggingface/tokenizers read alike. Other characters have no token.
 * @throws TandemError INVALID_ARGUMENT when a piece comes twice or a character is not one. */
export function createCharTokenizerJson({ special, characters }: CharTokenizerPieces): JsonObject {
  const pieces = [...special, ...characters];
  const bad =
    characters.find((piece) => Array.from(piece).length !== 1) ??
    pieces.find((piece, i) => pieces.indexOf(piece) !== i);
  if (bad !== undefined) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `${JSON.stringify(bad)} is not a single character or comes twice; give each character once`,
    );
  }
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: { type: "Fuse" },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      merges: [],
    },
  };
}
