import { TandemError } from "@tandem/shared/errors/tandem-error.js";

/** What spans need of a tokenizer. */
export interface SpellingTokenizer {
  bytesOf(id: number): Uint8Array;
}

/** Where each token ends in the bytes of the text they spell; special tokens end where they begin.
 * `text`: what they must spell; a first token in SentencePiece's manner may bring one space more.
 * @throws TandemError FAILED_PRECONDITION when they spell something else. */
export function byteEnds(
  tokenizer: SpellingTokenizer,
  ids: Uint32Array,
  text: Uint8Array,
): Uint32Array {
  const pieces = Array.from(ids, (id) => tokenizer.bytesOf(id));
  const spelled = Buffer.concat(pieces);
  const extra = spelled.length - text.length;
  const leads = extra === 1 && spelled[0] === 0x20 && spelled.subarray(1).equals(text);
  if (!leads && !spelled.equals(text)) {
    throw new TandemError(
      "FAILED_PRECONDITION",
      `${ids.length} tokens spell ${JSON.stringify(spelled.toString().slice(0, 80))}, the text is ${JSON.stringify(Buffer.from(text).toString().slice(0, 80))}; tokenizers that change the text (normalisation) cannot be aligned by bytes`,
    );
  }
  let end = leads ? -1 : 0;
  return Uint32Array.from(pieces, ({ length }) => {
    end += length;
    return Math.max(0, end);
  });
}

/** Runs of tokens on both sides that cover the same bytes, as short as possible; each run is [from, to) in both. What is behind the last
 * common boundary belongs to none. */
export interface SpanPair {
  readonly own: readonly [from: number, to: number];
  readonly other: readonly [from: number, to: number];
}

/** Walks both sides, always on with the one whose token ends first. Tokens without bytes join the run that ends behind them.
 * Source: TRL's GOLD trainer, `_align_by_byte_offsets`. */
export function pairSpans(own: Uint32Array, other: Uint32Array): readonly SpanPair[] {
  const pairs: SpanPair[] = [];
  let [i, j, fromOwn, fromOther] = [0, 0, 0, 0];
  while (i < own.length && j < other.length) {
    const gap = own[i]! - other[j]!;
    if (gap <= 0) i++;
    if (gap >= 0) j++;
    if (gap !== 0) continue;
    pairs.push({ own: [fromOwn, i], other: [fromOther, j] });
    [fromOwn, fromOther] = [i, j];
  }
  return pairs;
}
