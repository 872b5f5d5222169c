import type { FrameWriter } from "./frame-writer.js";
import { writeStep } from "./grid-codec.js";
import { LISTS_RAGGED, LISTS_WHOLE, LOGITS_EXACT, LOGITS_QUANTISED } from "./layout.js";
import { writeIds } from "./id-codec.js";
import { stepFor } from "./quantise.js";
import { listOffsets, type TopLists } from "./top-lists.js";
import { quantiseLists, writeGapBlocks } from "./write-gaps.js";

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
  const offsets = lists.offsets ?? listOffsets(logits.length / topK, topK);
  const { maxLogitError } = options;
  const step = maxLogitError > 0 ? stepFor(maxLogitError, magnitudeOf(logits, offsets)) : undefined;
  const gaps = step === undefined ? undefined : quantiseLists(logits, offsets, { topK, step });
  if (step === undefined || gaps === undefined) {
    writer.u8(LOGITS_EXACT);
    writeIds(writer, ids, options.vocabSize);
    writer.array(logits);
    return;
  }
  writer.u8(LOGITS_QUANTISED);
  writeStep(writer, step, maxLogitError);
  writer.nibbles(gaps.widths);
  writeIds(writer, ids, options.vocabSize);
  for (let row = 0; row + 1 < offsets.length; row++) {
    writer.f32(logits[offsets[row] as number] as number);
  }
  writeGapBlocks(writer, gaps);
}

const NO_IDS = new Uint32Array(0);

function writeLengths(writer: FrameWriter, { offsets }: TopLists): void {
  writer.u8(offsets === undefined ? LISTS_WHOLE : LISTS_RAGGED);
  if (offsets === undefined) return;
  for (let row = 0; row + 1 < offsets.length; row++) {
    writer.varint((offsets[row + 1] as number) - (offsets[row] as number));
  }
}

/** Rows fall, so the ends are the largest magnitudes. */
function magnitudeOf(logits: Float32Array, offsets: Uint32Array): number {
  let magnitude = 0;
  for (let row = 0; row + 1 < offsets.length; row++) {
    const first = logits[offsets[row] as number] as number;
    const last = logits[(offsets[row + 1] as number) - 1] as number;
    const larger = Math.max(Math.abs(first), Math.abs(last));
    if (!(larger <= magnitude)) magnitude = larger; // takes NaN too
  }
  return magnitude;
}
