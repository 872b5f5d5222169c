/** The inner loops of the COMPACT codec, four or eight numbers at a time. src/wire/compact/kernels.ts is their only caller: it vouches for rows,
 * offsets and widths, and that no chunk is larger than CHUNK_ENTRIES. */
export { BITS, ESCAPES, LOGITS, MAXIMA, NUMBERS, OFFSETS, WIDTHS } from "./memory";
export { CHUNK_ENTRIES, COUNTS, LENGTHS } from "./memory";
export { readIds, writeIds } from "./ids";
export { readEscapeBytes, readGaps, readSteps } from "./read-gaps";
export { ESCAPE_DAMAGED, SPAN_TOO_LARGE } from "./read-gaps";
export { countLengths, quantise, writeGaps, writtenEscapeBytes } from "./write-gaps";
