import type { FrameWriter } from "./frame-writer.js";
import { LOGITS_EXACT, LOGITS_QUANTISED } from "./layout.js";
import { stepFor } from "./quantise.js";
import { quantiseLists, writeGapBits } from "./write-gaps.js";
import { fitIdCode, type IdCode, writeIdBits } from "./write-ids.js";

export interface TopLists {
  readonly topK: number;
  /** [n, k], rows by falling logit. */
  readonly ids: Uint32Array;
  readonly logits: Float32Array;
}

/** The top lists, in the order of falling logit: kept exactly, nothing to sort on either side, and the gaps between neighbouring
 * logits are so small that id and logit together take less than ids sorted and delta-packed would (132 against 150 bytes per
 * position at k = 64 and error 0.01 on real text). Logits that cannot be quantised within `maxError` (0, infinities, magnitudes
 * where f32 itself is coarser) go as f32. */
export function writeTop(writer: FrameWriter, lists: TopLists, maxError: number): void {
  const code = fitIdCode(lists.ids, lists.topK);
  writer.u8(code.lengths.length);
  writer.nibbles(code.lengths);
  const step = maxError > 0 ? stepFor(maxError, magnitudeOf(lists)) : undefined;
  const gaps = step === undefined ? undefined : quantiseLists(lists.logits, lists.topK, step);
  if (step === undefined || gaps === undefined) {
    writer.u8(LOGITS_EXACT);
    writeIdStream(writer, lists, code);
    writer.array(lists.logits);
    return;
  }
  writer.u8(LOGITS_QUANTISED);
  writer.f32(step);
  writer.f32(maxError);
  writer.nibbles(gaps.parameters);
  writeIdStream(writer, lists, code);
  for (let i = 0; i < lists.logits.length; i += lists.topK) writer.f32(lists.logits[i] as number);
  writeGapBits(writer, gaps);
}

/** The ids' bits behind their length in bytes, so that a reader can decode both streams side by side. */
function writeIdStream(writer: FrameWriter, lists: TopLists, code: IdCode): void {
  const lengthAt = writer.length;
  writer.u32(0);
  writeIdBits(writer, lists.ids, code);
  writer.setU32(lengthAt, writer.length - lengthAt - 4);
}

/** Rows fall, so the ends are the largest magnitudes. */
function magnitudeOf({ logits, topK }: TopLists): number {
  let magnitude = 0;
  for (let i = 0; i < logits.length; i += topK) {
    const row = Math.max(Math.abs(logits[i] as number), Math.abs(logits[i + topK - 1] as number));
    if (!(row <= magnitude)) magnitude = row; // takes NaN too
  }
  return magnitude;
}
