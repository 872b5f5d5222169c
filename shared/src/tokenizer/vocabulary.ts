import { TandemError } from "../errors/tandem-error.js";
import type { JsonObject, Json } from "./tokenizer-files.js";

/** The pieces of a tokenizer.json by id, added tokens included; ids that nothing has are undefined. Its length is the real vocabulary:
 * the largest id + 1.
 * @throws TandemError UNIMPLEMENTED for a model without a vocabulary, DATA_LOSS for one that is not as it should be. */
export function readVocabulary(tokenizer: JsonObject): readonly (string | undefined)[] {
  const model = tokenizer["model"] as JsonObject | null | undefined;
  const pieces: (string | undefined)[] = [];
  for (const [piece, id] of entriesOf(model)) put(pieces, piece, id);
  for (const { content, id } of addedTokensOf(tokenizer)) put(pieces, content, id);
  if (pieces.length === 0) throw malformed("no token at all");
  return Array.from(pieces);
}

function entriesOf(model: JsonObject | null | undefined): [string, number][] {
  const vocab = model?.["vocab"];
  if (Array.isArray(vocab)) {
    // Unigram: [piece, score] in the order of ids
    return (vocab as readonly Json[]).map((entry, id) => {
      const piece = Array.isArray(entry) ? (entry as readonly Json[])[0] : undefined;
      if (typeof piece !== "string") throw malformed(`no piece at id ${id}`);
      return [piece, id];
    });
  }
  if (typeof vocab === "object" && vocab !== null) {
    return Object.entries(vocab as JsonObject) as [string, number][];
  }
  throw new TandemError(
    "UNIMPLEMENTED",
    `tokenizer.json has a model of type ${JSON.stringify(model?.["type"])} without a vocabulary; BPE, WordPiece, WordLevel and Unigram have one`,
  );
}

const MAX_ID = 2 ** 24 - 2;

function put(pieces: (string | undefined)[], piece: string, id: number): void {
  if (!(Number.isInteger(id) && id >= 0 && id <= MAX_ID)) {
    throw malformed(
      `id ${JSON.stringify(id)} for ${JSON.stringify(piece)}; ids are integers from 0 to ${MAX_ID}`,
    );
  }
  pieces[id] = piece;
}

export interface AddedTokenEntry {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Whether spaces around it belong to it, whether it must be a word of its own, whether text is normalised before it is looked for. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly singleWord: boolean;
  readonly normalized: boolean;
}

/** The added tokens of a tokenizer.json, by rising id. */
export function addedTokensOf(tokenizer: JsonObject): AddedTokenEntry[] {
  const list = tokenizer["added_tokens"];
  const entries = Array.isArray(list) ? (list as readonly (JsonObject | null)[]) : [];
  return entries
    .map((entry) => {
      const { id, content, ...rest } = entry ?? {};
      const { special, lstrip, rstrip, single_word: singleWord, normalized } = rest;
      if (typeof content !== "string" || typeof id !== "number") {
        throw malformed("an added token without content or id");
      }
      const flags = { special, lstrip, rstrip, singleWord, normalized };
      return { id, content, ...mapFlags(flags) };
    })
    .sort((a, b) => a.id - b.id);
}

function mapFlags<Key extends string>(
  flags: Readonly<Record<Key, Json | undefined>>,
): Readonly<Record<Key, boolean>> {
  const entries = Object.entries<Json | undefined>(flags);
  return Object.fromEntries(entries.map(([key, flag]) => [key, flag === true])) as Record<
    Key,
    boolean
  >;
}

function malformed(what: string): TandemError {
  return new TandemError("DATA_LOSS", `tokenizer.json has ${what}`);
}
