import { readOffsets } from "./at-codec.js";
import { damaged, type FrameReader } from "./frame-reader.js";
import { idBits, readIds } from "./id-codec.js";
import { GAP_GROUP, LISTS_RAGGED, LISTS_WHOLE, LOGITS_EXACT, LOGITS_QUANTISED } from "./layout.js";
import { readStep } from "./grid-codec.js";
import { readGapBlocks } from "./read-gaps.js";
import { listOffsets, type TopLists } from "./top-lists.js";

const PART = "top lists";

export interface TopShape {
  readonly rows: number;
  /** k ≥ 1. */
  readonly topK: number;
  /** V: ids are below. */
  readonly vocabSize: number;
  readonly withoutIds: boolean;
}

/** Reads the top lists of a frame. */
export function readTop(
  reader: FrameReader,
  { rows, topK, vocabSize, withoutIds }: TopShape,
): TopLists {
  const kind = reader.u8(PART);
  if (kind !== LISTS_WHOLE && kind !== LISTS_RAGGED) damaged(`${PART} have the kind ${kind}`);
  const offsets = kind === LISTS_RAGGED ? readLengths(reader, rows, topK) : undefined;
  const total = offsets === undefined ? rows * topK : (offsets[rows] as number);
  const mode = reader.u8(PART);
  if (mode !== LOGITS_EXACT && mode !== LOGITS_QUANTISED) damaged(`${PART} have the mode ${mode}`);
  const step = mode === LOGITS_EXACT ? 0 : readStep(reader, PART);
  const widths = mode === LOGITS_EXACT ? EMPTY : reader.nibbles(Math.ceil(topK / GAP_GROUP), PART);
  reader.need((total * (withoutIds ? 1 : idBits(vocabSize))) / 8, PART); // a gap has at least one bit
  const ids = withoutIds ? undefined : readIds(reader, total, vocabSize);
  if (mode === LOGITS_EXACT) return { topK, offsets, ids, logits: reader.f32Array(total, PART) };
  const maxima = reader.f32Array(rows, PART);
  const starts = offsets ?? listOffsets(rows, topK);
  const logits = readGapBlocks(reader, { offsets: starts, maxima, step, widths });
  return { topK, offsets, ids, logits };
}

const EMPTY = new Uint8Array(0);

function readLengths(reader: FrameReader, rows: number, topK: number): Uint32Array {
  const offsets = readOffsets(reader, rows, PART);
  for (let row = 0; row < rows; row++) {
    const length = (offsets[row + 1] as number) - (offsets[row] as number);
    if (length < 1 || length > topK) damaged(`${PART} of up to ${topK} ids have one of ${length}`);
  }
  return offsets;
}
