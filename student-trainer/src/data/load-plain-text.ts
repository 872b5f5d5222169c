import { TandemError } from "@tandem/shared/errors/tandem-error.js";
import { readRows } from "./read-rows.js";
import type { PlainTextConfig } from "./plain-text-config.js";
import type { TextCodec } from "./text-codec.js";

/** The pieces of `data.plainText` in the student's tokens, two or more in each; none where no file is named. A text that is too long for one piece is
 * cut into several.
 * @throws TandemError NOT_FOUND, or INVALID_ARGUMENT naming file and line, or `data.plainText.length` beyond the context. */
export async function loadPlainText(
  { train, field, length }: PlainTextConfig,
  { codec, contextLength }: { readonly codec: TextCodec; readonly contextLength: number },
): Promise<readonly Uint32Array[]> {
  if (train === undefined) return [];
  if (length > contextLength) {
    throw new TandemError(
      "INVALID_ARGUMENT",
      `data.plainText.length is ${length}; the student's context has ${contextLength} tokens`,
      { field: "data.plainText.length", limit: contextLength },
    );
  }
  const pieces: Uint32Array[] = [];
  for (const file of typeof train === "string" ? [train] : train) {
    for (const { place, record } of await readRows(file)) {
      const text = record[field];
      if (typeof text !== "string") {
        throw new TandemError(
          "INVALID_ARGUMENT",
          `${place}: field "${field}" (data.plainText.field) must be a text; the record has ${Object.keys(record).join(", ") || "no fields"}`,
          { field: "data.plainText.field" },
        );
      }
      const ids = codec.encode(text, { special: true });
      // The first token of a piece is only ever context: one alone teaches nothing.
      for (let from = 0; from + 1 < ids.length; from += length) {
        pieces.push(ids.slice(from, from + length));
      }
    }
  }
  if (pieces.length > 0) return pieces;
  throw new TandemError("INVALID_ARGUMENT", "data.plainText.train holds no text of two tokens", {
    field: "data.plainText.train",
  });
}
