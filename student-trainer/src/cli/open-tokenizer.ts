import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import type { TextCodec } from "../data/text-codec.js";
import type { PieceReader } from "./sample-record.js";

/** A checkpoint's tokenizer as data, evaluation and people use it. */
export interface OpenTokenizer extends TextCodec, PieceReader {
  readonly fingerprint: string;
  /** Largest id + 1. */
  readonly vocabularySize: number;
}

export async function openTokenizer(dir: string): Promise<OpenTokenizer> {
  const json = JSON.parse(await readFile(join(dir, "tokenizer.json"), "utf8")) as object;
  const config = JSON.parse(
    await readFile(join(dir, "tokenizer_config.json"), "utf8").catch(() => "{}"),
  ) as object;
  const t = new Tokenizer(json, config);
  const ids = [...t.get_vocab(true).values()];
  return {
    fingerprint: "pending",
    vocabularySize: ids.reduce((a, b) => Math.max(a, b), 0) + 1,
    encode: (text, { special }) =>
      Uint32Array.from(t.encode(text, { add_special_tokens: special }).ids),
    decode: (i) => t.decode([...i], { skip_special_tokens: true }),
    piece: (id) => t.id_to_token(id) ?? `<${id}>`,
    renderChat: () => {
      throw new Error("pending");
    },
  };
}
