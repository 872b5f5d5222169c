import { FrameWriter } from "./frame-writer.js";
import { chunkMemory, kernels, LENGTHS } from "./kernels.js";
import { GAP_GROUP, MAX_GAP_BITS, MAX_STEPS } from "./layout.js";
import {
  chunkAfter,
  firstChunk,
  part,
  placeHeads,
  placeWidths,
  type ListChunk,
  type ListHeads,
} from "./list-chunks.js";

/** Lists to be written as multiples of a step below their first logit. */
export interface FallingLists extends ListHeads {
  readonly logits: Float32Array;
  readonly step: number;
}

/** About so many gaps are looked at to choose the widths; more of them no longer change the choice. */
const SAMPLE_SIZE = 1024;

/** What a gap that does not fit its width costs, beside its bytes: a reader's mispredicted branch, in bits. */
const ESCAPE_PENALTY_BITS = 2;

/** Bits of g + 1 for the largest gap g. */
const LONGEST = 32 - Math.clz32(MAX_STEPS + 1);

const escapes = new FrameWriter();
// Kept for the next frame, since small arrays take longer to make than to fill.
let sampled = new Float32Array(0);
/** [group, bits]: gaps g for which g + 1 has so many bits; such a gap fits a width of as many. */
let counts = new Uint32Array(0);

/** From logits to gaps in the kernels' memory; false when a list does not fall (or holds NaN). No list spans more than MAX_STEPS. */
function quantise(lists: FallingLists, chunk: ListChunk): boolean {
  placeHeads(lists, chunk);
  chunkMemory.logits.set(part(lists.logits, chunk.start, chunk.end));
  return kernels.quantise(chunk.rows, 1 / lists.step, chunk.place > 0) !== 0;
}

/** The width of each group of list places that costs least over a sample of the rows; undefined when one of them does not fall. topK: the
 * longest list. */
export function fitWidths(lists: FallingLists, topK: number): Uint8Array | undefined {
  const widths = new Uint8Array(Math.ceil(topK / GAP_GROUP));
  if (counts.length < widths.length * LENGTHS) counts = new Uint32Array(widths.length * LENGTHS);
  counts.fill(0, 0, widths.length * LENGTHS);
  const sample = sampleOf(lists);
  const { offsets } = sample;
  for (let chunk = firstChunk(offsets); chunk !== undefined; chunk = chunkAfter(chunk, offsets)) {
    if (!quantise(sample, chunk)) return undefined;
    countLengths(chunk);
  }
  for (let group = 0; group < widths.length; group++) widths[group] = cheapestWidth(group);
  return widths;
}

/** Some of the rows, evenly spaced; logits in a buffer that the next call reuses. */
function sampleOf(lists: FallingLists): FallingLists {
  const { offsets } = lists;
  const rows = offsets.length - 1;
  const stride = Math.floor((offsets[rows] as number) / SAMPLE_SIZE);
  if (stride <= 1) return lists;
  const maxima = new Float32Array(Math.ceil(rows / stride));
  const starts = new Uint32Array(maxima.length + 1);
  for (let i = 0, row = 0; row < rows; i++, row += stride) {
    maxima[i] = lists.maxima[row] as number;
    starts[i + 1] = (starts[i] as number) + (offsets[row + 1] as number) - (offsets[row] as number);
  }
  const size = starts[maxima.length] as number;
  if (sampled.length < size) sampled = new Float32Array(size);
  for (let i = 0, row = 0; row < rows; i++, row += stride) {
    sampled.set(lists.logits.subarray(offsets[row], offsets[row + 1]), starts[i]);
  }
  return { logits: sampled, offsets: starts, maxima, step: lists.step };
}

/** Adds a chunk's gaps, which `quantise` has left, to the counts. */
function countLengths({ rows, place }: ListChunk): void {
  const first = (place / GAP_GROUP) * LENGTHS;
  const own = counts.subarray(first, first + chunkMemory.counts.length);
  chunkMemory.counts.set(own);
  kernels.countLengths(rows);
  own.set(chunkMemory.counts.subarray(0, own.length));
}

function cheapestWidth(group: number): number {
  const first = group * LENGTHS;
  let total = 0;
  for (let i = first; i < first + LENGTHS; i++) total += counts[i] as number;
  let escaped = 0;
  let least = Infinity;
  let best = 1;
  for (let width = LONGEST - 1; width >= 1; width--) {
    const bits = width + 1;
    const varintBytes = bits > 14 ? 3 : bits > 7 ? 2 : 1;
    escaped += (counts[first + bits] as number) * (8 * varintBytes + ESCAPE_PENALTY_BITS);
    const cost = width * total + escaped;
    if (width <= MAX_GAP_BITS && cost < least) {
      least = cost;
      best = width;
    }
  }
  return best;
}

/** Writes the gap blocks, group by group, and the escapes behind them; false when a list does not fall (or holds NaN). */
export function writeGapBlocks(
  writer: FrameWriter,
  lists: FallingLists,
  widths: Uint8Array,
): boolean {
  const { offsets } = lists;
  escapes.length = 0;
  for (let chunk = firstChunk(offsets); chunk !== undefined; chunk = chunkAfter(chunk, offsets)) {
    if (!quantise(lists, chunk)) return false;
    placeWidths(widths, chunk);
    writer.array(chunkMemory.bits.subarray(0, kernels.writeGaps(chunk.rows)));
    escapes.array(chunkMemory.escapes.subarray(0, kernels.writtenEscapeBytes()));
  }
  writer.array(escapes.bytes.subarray(0, escapes.length));
  return true;
}
