import type { FrameWriter } from "./frame-writer.js";
import { writeStep } from "./grid-codec.js";
import { LISTS_RAGGED, LISTS_WHOLE, LOGITS_EXACT, LOGITS_QUANTISED } from "./layout.js";
import { writeIds } from "./id-codec.js";
import { fitsInSteps, stepFor } from "./quantise.js";
import { listOffsets, type TopLists } from "./top-lists.js";
import { fitWidths, writeGapBlocks } from "./write-gaps.js";

export interface TopOptions {
  readonly vocabSize: number;
  /** In nats; 0 = exact. */
  readonly maxLogitError: number;
}

/** The top lists, in the order of falling logit: kept exactly, nothing to sort on either side, and neighbouring logits are so near that their
 * distances take half a byte. Logits that cannot be quantised within the bound (0, infinities, magnitudes where f32 itself is
 * coarser) go as f32. */
export function writeTop(writer: FrameWriter, lists: TopLists, options: TopOptions): void {
  const { topK, ids = NO_IDS, logits } = lists;
  writeLengths(writer, lists);
  const offsets = lists.offsets ?? listOffsets(topK === 0 ? 0 : logits.length / topK, topK);
  const start = writer.length;
  if (writeQuantised(writer, { ...lists, offsets }, options)) return;
  writer.length = start;
  writer.u8(LOGITS_EXACT);
  writeIds(writer, ids, options.vocabSize);
  writer.array(logits);
}

/** False where logits do not fall, span too much or have no step; what was written then counts for nothing. */
function writeQuantised(
  writer: FrameWriter,
  { topK, offsets, ids = NO_IDS, logits }: TopLists & { readonly offsets: Uint32Array },
  { vocabSize, maxLogitError }: TopOptions,
): boolean {
  if (!(maxLogitError > 0)) return false;
  const { maxima, magnitude, span } = extentOf(logits, offsets);
  const step = stepFor(maxLogitError, magnitude);
  if (step === undefined || !fitsInSteps(span, step)) return false;
  const falling = { logits, offsets, maxima, step };
  const widths = fitWidths(falling, topK);
  if (widths === undefined) return false;
  writer.u8(LOGITS_QUANTISED);
  writeStep(writer, step, maxLogitError);
  writer.nibbles(widths);
  writeIds(writer, ids, vocabSize);
  writer.array(maxima);
  return writeGapBlocks(writer, falling, widths);
}

const NO_IDS = new Uint32Array(0);

function writeLengths(writer: FrameWriter, { offsets }: TopLists): void {
  writer.u8(offsets === undefined ? LISTS_WHOLE : LISTS_RAGGED);
  if (offsets === undefined) return;
  for (let row = 0; row + 1 < offsets.length; row++) {
    writer.varint((offsets[row + 1] as number) - (offsets[row] as number));
  }
}

/** First logits, the largest magnitude and the largest distance within a row. Rows fall, so both are those of ends. */
function extentOf(logits: Float32Array, offsets: Uint32Array) {
  const maxima = new Float32Array(offsets.length - 1);
  let magnitude = 0;
  let span = 0;
  for (let row = 0; row < maxima.length; row++) {
    const first = logits[offsets[row] as number] as number;
    const last = logits[(offsets[row + 1] as number) - 1] as number;
    maxima[row] = first;
    const larger = Math.max(Math.abs(first), Math.abs(last));
    if (!(larger <= magnitude)) magnitude = larger; // takes NaN too
    span = Math.max(span, first - last);
  }
  return { maxima, magnitude, span };
}
